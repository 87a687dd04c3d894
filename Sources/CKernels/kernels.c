#include "CKernels.h"
int veclab_kernels_present(void) { return 1; }
