"""Evidence bundles: what a finding stands on, as one file that anybody can check without a database or a network."""
