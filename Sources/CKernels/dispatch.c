#include "CKernels.h"

extern const VLKernels vl_kernels_base;
#if defined(__x86_64__)
extern const VLKernels vl_kernels_avx2, vl_kernels_avx512, vl_kernels_avx512bf16;
#endif

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

const VLKernels *vl_kernels(const char *name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  int bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
  if (bf16 && same(name, "avx512bf16")) return &vl_kernels_avx512bf16;
  if (avx512 && same(name, "avx512")) return &vl_kernels_avx512;
  if (avx2 && same(name, "avx2")) return &vl_kernels_avx2;
#endif
  return same(name, "base") ? &vl_kernels_base : 0;
}

uint64_t vl_new_pass(void) {
  static _Thread_local uint64_t last;
  return ++last;
}
