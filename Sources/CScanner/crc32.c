// CRC-32 by folding with carry-less products: V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using
// PCLMULQDQ Instruction", Intel, 2009, with its constants for the reflected polynomial 0xEDB88320.
#include "CScanner.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("pclmul,sse4.1"))), apply_to = function)

// The rest of the division, bit by bit in tables of 16.
static uint32_t small(uint32_t crc, const uint8_t *bytes, size_t count) {
  static const uint32_t table[16] = {
      0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
      0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
      0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    crc = table[crc & 15] ^ (crc >> 4);
    crc = table[crc & 15] ^ (crc >> 4);
  }
  return crc;
}

static inline __m128i fold(__m128i value, __m128i next, __m128i constants) {
  __m128i low = _mm_clmulepi64_si128(value, constants, 0x00);
  __m128i high = _mm_clmulepi64_si128(value, constants, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

uint32_t vl_crc32(uint32_t crc, const uint8_t *bytes, size_t count) {
  crc = ~crc;
  if (count >= 64) {
    const __m128i by4 = _mm_set_epi64x(0x01C6E41596, 0x0154442BD4);
    const __m128i by1 = _mm_set_epi64x(0x00CCAA009E, 0x01751997D0);
    const __m128i *p = (const __m128i *)bytes;
    __m128i a = _mm_xor_si128(_mm_loadu_si128(p), _mm_cvtsi32_si128((int)crc));
    __m128i b = _mm_loadu_si128(p + 1), c = _mm_loadu_si128(p + 2), d = _mm_loadu_si128(p + 3);
    p += 4;
    count -= 64;
    while (count >= 64) {
      a = fold(a, _mm_loadu_si128(p), by4);
      b = fold(b, _mm_loadu_si128(p + 1), by4);
      c = fold(c, _mm_loadu_si128(p + 2), by4);
      d = fold(d, _mm_loadu_si128(p + 3), by4);
      p += 4;
      count -= 64;
    }
    a = fold(fold(fold(a, b, by1), c, by1), d, by1);
    while (count >= 16) {
      a = fold(a, _mm_loadu_si128(p++), by1);
      count -= 16;
    }
    // 16 bytes are left of all that was folded; they are divided as if they were the input.
    uint8_t rest[16];
    _mm_storeu_si128((__m128i *)rest, a);
    crc = small(0, rest, 16);
    bytes = (const uint8_t *)p;
  }
  return ~small(crc, bytes, count);
}
#pragma clang attribute pop

int vl_crc32_supported(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#else
int vl_crc32_supported(void) { return 0; }
uint32_t vl_crc32(uint32_t crc, const uint8_t *bytes, size_t count) {
  (void)bytes, (void)count;
  return crc;
}
#endif
