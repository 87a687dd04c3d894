#define _GNU_SOURCE
#include <string.h>

#include "CScanner.h"

void vl_scan_base(const uint8_t *text, uint32_t count, int state, VLScan *out);
#if defined(__x86_64__)
void vl_scan_avx2(const uint8_t *text, uint32_t count, int state, VLScan *out);
#endif

VLScanFunction vl_scanner(const char *name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
  if (avx2 && (!name || strcmp(name, "avx2") == 0)) return vl_scan_avx2;
#endif
  return !name || strcmp(name, "base") == 0 ? vl_scan_base : 0;
}

size_t vl_lines(const uint8_t *bytes, size_t count) {
  size_t lines = 0;
  for (size_t i = 0; i < count; i++) lines += bytes[i] == '\n';
  return lines;
}

ptrdiff_t vl_last(const uint8_t *bytes, size_t count, uint8_t byte) {
  const uint8_t *found = memrchr(bytes, byte, count);
  return found ? found - bytes : -1;
}

ptrdiff_t vl_first(const uint8_t *bytes, size_t count, const uint8_t *wanted, size_t wanted_count) {
  const uint8_t *found = memmem(bytes, count, wanted, wanted_count);
  return found ? found - bytes : -1;
}

uint64_t vl_name_hash(const uint8_t *name, size_t count) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < count; i++) hash = (hash ^ name[i]) * 0x100000001B3u;
  return hash;
}
