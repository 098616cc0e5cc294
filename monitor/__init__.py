"""Cradlewatch's centre: the model, the judgement, the store, the collector."""
