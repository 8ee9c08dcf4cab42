"""Blur made on purpose, with known truth: exposure in linear light, motion, noise, compression. Knows no network."""
