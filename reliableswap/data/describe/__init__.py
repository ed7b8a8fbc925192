"""Descriptions of faces: measured attributes, and captions, questions and answers made from them."""
