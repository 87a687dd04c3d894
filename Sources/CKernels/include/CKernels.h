int veclab_kernels_present(void);
