"""Flat DistilBERT: a BERT or DistilBERT converted to one encoder that computes no padding outside attention."""
