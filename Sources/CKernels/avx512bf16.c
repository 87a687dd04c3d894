#if defined(__x86_64__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma"))),             \
    apply_to = function)
#define VL 16
#define MANY_REGISTERS 1
#define BF16 1
#define TABLE vl_kernels_avx512bf16
#define ISA_NAME "avx512bf16"
#include "body.h"
#pragma clang attribute pop
#endif
