// Floating-car data at the speed of memory: a scanner of the lines that SUMO writes, the guard that stands before
// libxml2, and the CRC of gzip.
#ifndef CSCANNER_H
#define CSCANNER_H

#include <stddef.h>
#include <stdint.h>

// Bytes behind the text of a scan that must be readable, whatever they hold.
#define VL_SCAN_PADDING 64
// Elements with more attributes, longer ids or longer tags are left to libxml2.
#define VL_SCAN_ATTRIBUTES 32
#define VL_SCAN_ID_BYTES 1024
#define VL_SCAN_TAG_BYTES 65536
#define VL_SCAN_NAMES 1024

// A vehicle element. Places are offsets in the text; speed and position are NaN where they are not given.
typedef struct {
  double x, y, speed, position;
  uint32_t id, type;
  // Where the tag ends: the '/' of "/>".
  uint32_t end;
  uint16_t id_length;
  // 0xFFFF without a type.
  uint16_t type_length;
  // Digits after the point, the smaller number of x and y.
  uint32_t decimals;
} VLScanRow;

// The beginning or the end of a timestep.
typedef struct {
  // Elements found before it.
  uint32_t rows, persons, containers;
  // Lines ended before the end of the tag before it.
  uint32_t start_lines;
  // Where the tag before it ended, and where this one does ('>' or the '/' of "/>").
  uint32_t start, end;
  // Text of the time; of an end, of no meaning.
  uint32_t time, time_length;
  uint32_t is_end;
} VLScanMark;

typedef struct {
  // Room, given by the caller.
  VLScanRow *rows;
  VLScanMark *marks;
  uint32_t row_capacity, mark_capacity;
  // Found.
  uint32_t row_count, mark_count, persons, containers, lines;
  // Everything before this offset is accepted, nothing behind it; the last accepted byte is a '>'.
  uint32_t end;
  uint32_t begins_in_step, ends_in_step;
  // Hashes of the names of elements and attributes that occur.
  uint32_t name_count;
  uint64_t names[VL_SCAN_NAMES];
} VLScan;

// Scans whole elements inside <fcd-export> until the text ends or something is not exactly as SUMO writes it.
// `state` is 1 inside a timestep, 0 between two, -1 if the first tag may tell.
typedef void (*VLScanFunction)(const uint8_t *text, uint32_t count, int state, VLScan *out);

// The scanner of an instruction set ("avx2", "base"), null if this processor has it not; the best one without a name.
VLScanFunction vl_scanner(const char *name);

// CRC-32 of gzip with carry-less products; `vl_crc32_supported` tells whether this processor has them.
int vl_crc32_supported(void);
uint32_t vl_crc32(uint32_t crc, const uint8_t *bytes, size_t count);

// Line feeds in some bytes.
size_t vl_lines(const uint8_t *bytes, size_t count);

// Where a byte comes last, where some bytes come first; -1 if they do not.
ptrdiff_t vl_last(const uint8_t *bytes, size_t count, uint8_t byte);
ptrdiff_t vl_first(const uint8_t *bytes, size_t count, const uint8_t *wanted, size_t wanted_count);

uint64_t vl_name_hash(const uint8_t *name, size_t count);

enum {
  VL_GUARD_OK = 0,
  VL_GUARD_TAG,
  VL_GUARD_ATTRIBUTES,
  VL_GUARD_DEPTH,
  VL_GUARD_NAMES,
  VL_GUARD_COMMENT
};

// Follows the markup of what libxml2 is about to see, and stops where it would cost too much.
typedef struct {
  // Limits: bytes of a tag and of a comment or processing instruction, attributes of a tag, open elements, names.
  uint64_t tag_bytes, comment_bytes, attributes, depth, names;
  // Bytes of a character: 1, or 2 for UTF-16; then `big_endian` counts.
  uint32_t unit, big_endian;
  // State.
  uint32_t state, quote, is_end_tag, dashes, is_namespace, pending_count;
  uint8_t pending;
  uint64_t length, attribute_count, open, hash, lines;
  uint64_t *table;
  uint64_t table_capacity, table_count;
} VLGuard;

void vl_guard_init(VLGuard *guard);
void vl_guard_free(VLGuard *guard);
// VL_GUARD_OK, or which limit was passed and (in `at`) after how many of the bytes.
int vl_guard_check(VLGuard *guard, const uint8_t *bytes, size_t count, size_t *at);
// Adds the hash of a name; VL_GUARD_NAMES if there are too many.
int vl_guard_add_name(VLGuard *guard, uint64_t hash);

#endif
