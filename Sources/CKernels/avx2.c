#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define VL 8
#define MANY_REGISTERS 0
#define TABLE vl_kernels_avx2
#define ISA_NAME "avx2"
#include "body.h"
#pragma clang attribute pop
#endif
