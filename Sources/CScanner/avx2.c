#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "CScanner.h"
#pragma clang attribute push(__attribute__((target("avx2,bmi,lzcnt"))), apply_to = function)
#define CLASSIFY(p, quotes, bad, other)                                                        \
  do {                                                                                         \
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(p));                                  \
    __m256i low = _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, _mm256_set1_epi8(31)),              \
                                    _mm256_set1_epi8(31));                                     \
    __m256i open = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('<'));                            \
    __m256i escape = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('&'));                          \
    bad = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(low, _mm256_or_si256(open, escape))); \
    quotes = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"')));  \
    other = (uint32_t)_mm256_movemask_epi8(bytes);                                             \
  } while (0)
#define SCAN vl_scan_avx2
void vl_scan_avx2(const uint8_t *text, uint32_t count, int state, VLScan *out);
#include "body.h"
#pragma clang attribute pop
#endif
