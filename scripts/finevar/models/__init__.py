"""From a checkpoint to logits: conversion, encoder, tokenizer, machine; what runs share of PyTorch."""
