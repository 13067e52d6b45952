"""Between the shell and the libraries: words, progress, tables, exit codes, and the order of the work."""
