"""Texts of a document made from claims and evidence: one function each, marked `@passage`."""
