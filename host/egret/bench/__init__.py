"""The benchmark: networks of any size, sparsity and activity on the kernel, and where its cycles go."""
