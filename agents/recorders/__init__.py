"""Recorders: what each make says about itself and about the footage it holds."""
