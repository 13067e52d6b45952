"""The edge: each reader makes a Tree of one kind of target. Nothing is executed, nothing unpacked."""
