"""Surrogates: pictures made from real photos, which training takes as inputs.

target  C_ab, made by the blend: the attributes of a and the identity of b
swapped the same, made by an earlier generator
source  another picture of the same person, made from a single photo
"""
