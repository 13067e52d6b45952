"""Measurements that decisions rest on; run by hand on a quiet machine, one after the other."""
