// The scanner, once for each instruction set: CLASSIFY gives for 32 bytes the bits of the quotes, of those that end
// it (control characters, '<', '&'), and of those that are not ASCII.
#include <math.h>
#include <string.h>

#include "CScanner.h"

enum { KEY_OTHER, KEY_ID, KEY_X, KEY_Y, KEY_SPEED, KEY_POS, KEY_TYPE, KEY_COUNT };
enum { VEHICLE, PERSON, CONTAINER, KINDS };
enum { TEMPLATES = 8, NAME_BYTES = 40 };

// ` name="` as it stands before the value of an attribute.
typedef struct {
  uint64_t low, low_mask, high, high_mask;
  uint32_t length, key;
  uint8_t text[NAME_BYTES + 8];
} Attribute;

// The attributes of an element in their order; no name is there twice.
typedef struct {
  uint32_t count;
  int8_t place[KEY_COUNT];
  Attribute attributes[VL_SCAN_ATTRIBUTES];
} Template;

typedef struct {
  uint32_t count, last;
  Template templates[TEMPLATES];
} Templates;

typedef struct {
  const uint8_t *start, *end;
} Value;

static inline uint64_t load8(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, 8);
  return word;
}

// Whether the bytes are characters of XML in UTF-8; control characters have been excluded.
static int is_text(const uint8_t *p, const uint8_t *end) {
  while (p < end) {
    uint32_t c = *p;
    if (c < 0x80) {
      p++;
      continue;
    }
    uint32_t more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    if (c < 0xC2 || c > 0xF4 || (size_t)(end - p) <= more) return 0;
    c &= 0x3Fu >> more;
    for (uint32_t i = 1; i <= more; i++) {
      if ((p[i] & 0xC0) != 0x80) return 0;
      c = c << 6 | (p[i] & 0x3F);
    }
    if (more == 2 && (c < 0x800 || (c >= 0xD800 && c < 0xE000) || c >= 0xFFFE)) return 0;
    if (more == 3 && (c < 0x10000 || c > 0x10FFFF)) return 0;
    p += more + 1;
  }
  return 1;
}

// The closing quote of a value that needs no decoding; null if there is none, or something else.
static inline const uint8_t *value_end(const uint8_t *value, const uint8_t *limit) {
  uint32_t high = 0;
  for (const uint8_t *p = value; p < limit; p += 32) {
    uint32_t quotes, bad, other;
    CLASSIFY(p, quotes, bad, other);
    if (quotes) {
      uint32_t before = (quotes & -quotes) - 1;
      const uint8_t *end = p + __builtin_ctz(quotes);
      if ((bad & before) || end >= limit) return 0;
      if (((other & before) | high) && !is_text(value, end)) return 0;
      return end;
    }
    if (bad) return 0;
    high |= other;
  }
  return 0;
}

static const double powers[16] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static inline uint64_t digits8(uint64_t w) {
  w -= 0x3030303030303030u;
  w = w * 10 + (w >> 8);
  return (((w & 0x000000FF000000FFu) * 0x000F424000000064u) +
          (((w >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u)) >>
         32;
}

static inline uint64_t not_digits(uint64_t w) {
  return ((w + 0x4646464646464646u) | (w - 0x3030303030303030u)) & 0x8080808080808080u;
}

// -?[0-9]+(.[0-9]+)? with at most 15 digits, correctly rounded: integer and power are exact, and divided once.
// At least 16 bytes before the end of the value must be readable.
static inline int number(Value value, double *result, uint32_t *decimals) {
  const uint8_t *s = value.start;
  int negative = *s == '-';
  s += negative;
  size_t length = (size_t)(value.end - s);
  if (length == 0 || length > 16) return 0;
  uint64_t mantissa;
  uint32_t places = 0;
  const uint64_t zeros = 0x3030303030303030u;
  if (length <= 8) {
    uint64_t w = load8(value.end - 8);
    uint64_t keep = ~(uint64_t)0 << (8 * (8 - length));
    w = (w & keep) | (zeros & ~keep);
    uint64_t x = w ^ 0x2E2E2E2E2E2E2E2Eu;
    uint64_t dot = (x - 0x0101010101010101u) & ~x & 0x8080808080808080u;
    if (dot) {
      uint32_t place = (uint32_t)__builtin_ctzll(dot) >> 3;
      places = 7 - place;
      if (places == 0 || place == 8 - length) return 0;
      uint64_t low = ((uint64_t)1 << (8 * place)) - 1;
      uint64_t rest = ~(uint64_t)0 << (8 * (place + 1));
      w = (w & rest) | (w & low) << 8 | 0x30;
    }
    if (not_digits(w)) return 0;
    mantissa = digits8(w);
  } else {
    unsigned __int128 w;
    memcpy(&w, value.end - 16, 16);
    unsigned __int128 both = (unsigned __int128)zeros << 64 | zeros;
    unsigned __int128 keep = ~(unsigned __int128)0 << (8 * (16 - length));
    w = (w & keep) | (both & ~keep);
    uint64_t x = (uint64_t)w ^ 0x2E2E2E2E2E2E2E2Eu;
    uint64_t y = (uint64_t)(w >> 64) ^ 0x2E2E2E2E2E2E2E2Eu;
    uint64_t first = (x - 0x0101010101010101u) & ~x & 0x8080808080808080u;
    uint64_t second = (y - 0x0101010101010101u) & ~y & 0x8080808080808080u;
    if (first | second) {
      uint32_t place = first ? (uint32_t)__builtin_ctzll(first) >> 3
                             : 8 + ((uint32_t)__builtin_ctzll(second) >> 3);
      places = 15 - place;
      if (places == 0 || place == 16 - length) return 0;
      unsigned __int128 low = ((unsigned __int128)1 << (8 * place)) - 1;
      unsigned __int128 rest = ~(unsigned __int128)0 << (8 * (place + 1));
      w = (w & rest) | (w & low) << 8 | 0x30;
    } else if (length == 16) {
      return 0;
    }
    if (not_digits((uint64_t)w) | not_digits((uint64_t)(w >> 64))) return 0;
    mantissa = digits8((uint64_t)w) * 100000000u + digits8((uint64_t)(w >> 64));
  }
  double magnitude = (double)mantissa / powers[places];
  *result = negative ? -magnitude : magnitude;
  *decimals = places;
  return 1;
}

static inline int is_before(const uint8_t *p, const Attribute *attribute) {
  if (((load8(p) ^ attribute->low) & attribute->low_mask) |
      ((load8(p + 8) ^ attribute->high) & attribute->high_mask))
    return 0;
  return attribute->length <= 16 || memcmp(p, attribute->text, attribute->length) == 0;
}

// Reads the attributes if they are those of the template; the '/' of "/>" behind them, or null.
static inline const uint8_t *match(const Template *template, const uint8_t *p, const uint8_t *limit,
                                   Value *values) {
  for (uint32_t i = 0; i < template->count; i++) {
    if (!is_before(p, &template->attributes[i])) return 0;
    values[i].start = p + template->attributes[i].length;
    values[i].end = value_end(values[i].start, limit);
    if (!values[i].end) return 0;
    p = values[i].end + 1;
  }
  return p + 1 < limit && p[0] == '/' && p[1] == '>' ? p : 0;
}

static uint32_t key_of(const uint8_t *name, uint32_t length) {
  static const struct {
    const char *name;
    uint32_t length, key;
  } keys[] = {{"id", 2, KEY_ID},       {"x", 1, KEY_X},     {"y", 1, KEY_Y},
              {"speed", 5, KEY_SPEED}, {"pos", 3, KEY_POS}, {"type", 4, KEY_TYPE}};
  for (uint32_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (keys[i].length == length && memcmp(keys[i].name, name, length) == 0) return keys[i].key;
  return KEY_OTHER;
}

static int is_name(const uint8_t *name, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) {
    uint8_t c = name[i];
    int letter = (uint8_t)((c | 32) - 'a') < 26 || c == '_';
    if (!letter && (i == 0 || !((uint8_t)(c - '0') < 10 || c == '-' || c == '.'))) return 0;
  }
  return length > 0 && !(length == 5 && memcmp(name, "xmlns", 5) == 0);
}

static void add_name(VLScan *out, const uint8_t *name, size_t length) {
  if (out->name_count < VL_SCAN_NAMES) out->names[out->name_count++] = vl_name_hash(name, length);
}

// Makes a template of the attributes at p; null if they are not plain, or there is no room.
static Template *learn(Templates *known, const uint8_t *p, const uint8_t *limit, VLScan *out) {
  if (known->count == TEMPLATES || out->name_count + VL_SCAN_ATTRIBUTES > VL_SCAN_NAMES) return 0;
  Template *made = &known->templates[known->count];
  made->count = 0;
  memset(made->place, -1, sizeof made->place);
  while (p < limit && *p == ' ') {
    if (made->count == VL_SCAN_ATTRIBUTES) return 0;
    const uint8_t *name = p + 1;
    const uint8_t *end = name;
    while (end < limit && end - name <= NAME_BYTES && *end != '=') end++;
    uint32_t length = (uint32_t)(end - name);
    if (length > NAME_BYTES || end + 1 >= limit || end[0] != '=' || end[1] != '"') return 0;
    if (!is_name(name, length)) return 0;
    Attribute *attribute = &made->attributes[made->count];
    attribute->length = length + 3;
    memset(attribute->text, 0, sizeof attribute->text);
    memcpy(attribute->text, p, length + 3);
    for (uint32_t i = 0; i < made->count; i++)
      if (made->attributes[i].length == attribute->length &&
          memcmp(made->attributes[i].text, attribute->text, attribute->length) == 0)
        return 0;
    uint8_t mask[16];
    for (uint32_t i = 0; i < 16; i++) mask[i] = i < attribute->length ? 0xFF : 0;
    attribute->low = load8(attribute->text) & load8(mask);
    attribute->high = load8(attribute->text + 8) & load8(mask + 8);
    attribute->low_mask = load8(mask);
    attribute->high_mask = load8(mask + 8);
    attribute->key = key_of(name, length);
    if (attribute->key != KEY_OTHER) made->place[attribute->key] = (int8_t)made->count;
    p = value_end(end + 2, limit);
    if (!p) return 0;
    p++;
    made->count++;
  }
  for (uint32_t i = 0; i < made->count; i++)
    add_name(out, made->attributes[i].text + 1, made->attributes[i].length - 3);
  known->last = known->count++;
  return made;
}

// The template of the attributes at p, with their values; *end is behind them. Null if they are not plain.
static inline const Template *find(Templates *known, const uint8_t *p, const uint8_t *limit,
                                   Value *values, const uint8_t **end, VLScan *out) {
  if (known->count) {
    const Template *last = &known->templates[known->last];
    if ((*end = match(last, p, limit, values))) return last;
    for (uint32_t i = 0; i < known->count; i++) {
      if (i == known->last) continue;
      if ((*end = match(&known->templates[i], p, limit, values))) {
        known->last = i;
        return &known->templates[i];
      }
    }
  }
  const Template *made = learn(known, p, limit, out);
  if (!made || !(*end = match(made, p, limit, values))) return 0;
  return made;
}

static inline int add_row(const uint8_t *text, const Template *template, const Value *values,
                          const uint8_t *end, VLScan *out) {
  const int8_t *place = template->place;
  if (place[KEY_ID] < 0 || place[KEY_X] < 0 || place[KEY_Y] < 0) return 0;
  if (out->row_count == out->row_capacity) return 0;
  VLScanRow *row = &out->rows[out->row_count];
  Value id = values[place[KEY_ID]];
  size_t id_length = (size_t)(id.end - id.start);
  if (id_length == 0 || id_length > VL_SCAN_ID_BYTES) return 0;
  uint32_t x_decimals, y_decimals, unused;
  if (!number(values[place[KEY_X]], &row->x, &x_decimals)) return 0;
  if (!number(values[place[KEY_Y]], &row->y, &y_decimals)) return 0;
  row->speed = NAN;
  row->position = NAN;
  if (place[KEY_SPEED] >= 0 && !number(values[place[KEY_SPEED]], &row->speed, &unused)) return 0;
  if (place[KEY_POS] >= 0 && !number(values[place[KEY_POS]], &row->position, &unused)) return 0;
  row->id = (uint32_t)(id.start - text);
  row->id_length = (uint16_t)id_length;
  row->type = 0;
  row->type_length = 0xFFFF;
  if (place[KEY_TYPE] >= 0) {
    Value type = values[place[KEY_TYPE]];
    if (type.end - type.start >= 0xFFFF) return 0;
    row->type = (uint32_t)(type.start - text);
    row->type_length = (uint16_t)(type.end - type.start);
  }
  row->end = (uint32_t)(end - text);
  row->decimals = x_decimals < y_decimals ? x_decimals : y_decimals;
  out->row_count++;
  return 1;
}

// Over the blanks and line feeds between two tags.
static inline const uint8_t *skip_blanks(const uint8_t *p, const uint8_t *limit, uint32_t *lines) {
  if (p < limit && *p == '\n') {
    ++*lines;
    p++;
    while (p + 4 <= limit && memcmp(p, "    ", 4) == 0) p += 4;
  }
  while (p < limit && (*p == ' ' || *p == '\n' || *p == '\t')) {
    *lines += *p == '\n';
    p++;
  }
  return p;
}

static inline VLScanMark *add_mark(VLScan *out, const uint8_t *text, const uint8_t *end,
                                   int is_end) {
  VLScanMark *mark = &out->marks[out->mark_count++];
  mark->rows = out->row_count;
  mark->persons = out->persons;
  mark->containers = out->containers;
  mark->start_lines = out->lines;
  mark->start = out->end;
  mark->end = (uint32_t)(end - text);
  mark->time = 0;
  mark->time_length = 0;
  mark->is_end = (uint32_t)is_end;
  return mark;
}

#define STARTS(literal) (memcmp(p, literal, sizeof literal - 1) == 0)

// A tag of a timestep; what follows it, or null.
static inline const uint8_t *scan_step(const uint8_t *text, const uint8_t *p, const uint8_t *limit,
                                       int *state, VLScan *out) {
  if (out->mark_count + 2 > out->mark_capacity) return 0;
  if (STARTS("</timestep>") && *state != 0) {
    add_mark(out, text, p + 10, 1);
    *state = 0;
    return p + 11;
  }
  if (!STARTS("<timestep time=\"") || *state == 1) return 0;
  const uint8_t *time = p + 16;
  const uint8_t *end = value_end(time, limit);
  if (!end || end - p > VL_SCAN_TAG_BYTES) return 0;
  int is_empty = end[1] == '/' && end[2] == '>';
  const uint8_t *next = end + (is_empty ? 3 : 2);
  if ((!is_empty && end[1] != '>') || next > limit) return 0;
  VLScanMark *mark = add_mark(out, text, end + 1, 0);
  mark->time = (uint32_t)(time - text);
  mark->time_length = (uint32_t)(end - time);
  if (is_empty) add_mark(out, text, end + 1, 1);
  *state = !is_empty;
  return next;
}

// An element of a timestep; what follows it, or null.
static inline const uint8_t *scan_element(const uint8_t *text, const uint8_t *p,
                                          const uint8_t *limit, Templates *known, VLScan *out) {
  int kind = STARTS("<vehicle") ? VEHICLE : STARTS("<person") ? PERSON : CONTAINER;
  if (kind == CONTAINER && !STARTS("<container")) return 0;
  static const uint8_t lengths[KINDS] = {8, 7, 10};
  const uint8_t *end;
  Value values[VL_SCAN_ATTRIBUTES];
  const Template *template = find(&known[kind], p + lengths[kind], limit, values, &end, out);
  if (!template || end - p > VL_SCAN_TAG_BYTES) return 0;
  if (kind == VEHICLE) {
    if (!add_row(text, template, values, end, out)) return 0;
  } else if (kind == PERSON) {
    out->persons++;
  } else {
    out->containers++;
  }
  return end + 2;
}

// At most this much room is read behind the text, by the comparisons of a tag's beginning.
_Static_assert(VL_SCAN_PADDING >= 48, "a tag's beginning and 32 bytes of a value");

void SCAN(const uint8_t *text, uint32_t count, int state, VLScan *out) {
  Templates known[KINDS];
  for (int i = 0; i < KINDS; i++) known[i].count = known[i].last = 0;
  out->row_count = out->mark_count = out->persons = out->containers = out->lines = 0;
  out->name_count = 0;
  out->end = 0;
  out->begins_in_step = state == 1;
  const uint8_t *p = text;
  const uint8_t *limit = text + count;
  uint32_t lines = 0;
  for (;;) {
    p = skip_blanks(p, limit, &lines);
    if (p >= limit || *p != '<') break;
    const uint8_t *next;
    if (p[1] == 't' || p[1] == '/') {
      if (state < 0) out->begins_in_step = p[1] == '/';
      next = scan_step(text, p, limit, &state, out);
    } else {
      if (state == 0) break;
      if (state < 0) {
        out->begins_in_step = 1;
        state = 1;
      }
      next = scan_element(text, p, limit, known, out);
    }
    if (!next || next > limit) break;
    p = next;
    out->end = (uint32_t)(p - text);
    out->lines = lines;
  }
  out->ends_in_step = state == 1;
}
