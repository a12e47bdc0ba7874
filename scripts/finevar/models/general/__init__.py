"""Any encoder that transformers can classify with: its own code, without padding where its attention can be ours."""
