// What every machine of the architecture has: SSE2 on x86-64, NEON on aarch64.
#define VL 4
#if defined(__aarch64__)
#define MANY_REGISTERS 1
#else
#define MANY_REGISTERS 0
#endif
#define TABLE vl_kernels_base
#define ISA_NAME "base"
#include "body.h"
