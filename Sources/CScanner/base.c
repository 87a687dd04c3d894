#include "CScanner.h"

#include <string.h>

// Eight bytes at a time, without vector instructions: one bit for each byte.
static inline uint32_t bits(uint64_t high) {
  return (uint32_t)(((high >> 7) & 0x0101010101010101u) * 0x0102040810204080u >> 56);
}

static inline void classify(const uint8_t *p, uint32_t *quotes, uint32_t *bad, uint32_t *other) {
  const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;
  uint32_t q = 0, b = 0, o = 0;
  for (int i = 0; i < 4; i++) {
    uint64_t w;
    memcpy(&w, p + 8 * i, 8);
    uint64_t seven = w & ~tops;
    // Of seven bits: no carry leaves a byte, so every byte is told exactly.
    uint64_t quote = ~(((seven ^ ones * '"') + (tops - ones)) | w) & tops;
    uint64_t open = ~(((seven ^ ones * '<') + (tops - ones)) | w) & tops;
    uint64_t escape = ~(((seven ^ ones * '&') + (tops - ones)) | w) & tops;
    uint64_t control = ~((seven + ones * (0x80 - 0x20)) | w) & tops;
    q |= bits(quote) << (8 * i);
    b |= bits(open | escape | control) << (8 * i);
    o |= bits(w & tops) << (8 * i);
  }
  *quotes = q;
  *bad = b;
  *other = o;
}

#define CLASSIFY(p, quotes, bad, other) classify(p, &(quotes), &(bad), &(other))
#define SCAN vl_scan_base
void vl_scan_base(const uint8_t *text, uint32_t count, int state, VLScan *out);
#include "body.h"
