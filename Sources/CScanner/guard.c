#include <stdlib.h>
#include <string.h>

#include "CScanner.h"

enum {
  TEXT,         // between tags
  OPENED,       // after '<'
  NAME,         // in the name of an element
  TAG,          // between attributes
  ATTRIBUTE,    // in the name of an attribute
  EQUALS,       // between the name and the value
  VALUE,        // in quotes
  END_TAG,      // after "</"
  DECLARATION,  // after "<!"
  COMMENT,
  CDATA,
  TARGET,  // in the name of a processing instruction
  INSTRUCTION
};

static const uint64_t first_hash = 0xCBF29CE484222325u;

void vl_guard_init(VLGuard *guard) {
  memset(guard, 0, sizeof *guard);
  guard->tag_bytes = 64 << 10;
  guard->comment_bytes = 1 << 20;
  guard->attributes = 256;
  guard->depth = 64;
  guard->names = 4096;
  guard->unit = 1;
}

void vl_guard_free(VLGuard *guard) {
  free(guard->table);
  guard->table = 0;
}

int vl_guard_add_name(VLGuard *guard, uint64_t hash) {
  if (hash == 0) hash = 1;
  if (guard->table_count * 2 >= guard->table_capacity) {
    uint64_t capacity = guard->table_capacity ? guard->table_capacity * 2 : 256;
    uint64_t *table = calloc(capacity, sizeof *table);
    if (!table) return VL_GUARD_NAMES;
    for (uint64_t i = 0; i < guard->table_capacity; i++) {
      if (!guard->table[i]) continue;
      uint64_t place = guard->table[i] & (capacity - 1);
      while (table[place]) place = (place + 1) & (capacity - 1);
      table[place] = guard->table[i];
    }
    free(guard->table);
    guard->table = table;
    guard->table_capacity = capacity;
  }
  uint64_t place = hash & (guard->table_capacity - 1);
  while (guard->table[place]) {
    if (guard->table[place] == hash) return VL_GUARD_OK;
    place = (place + 1) & (guard->table_capacity - 1);
  }
  if (guard->table_count >= guard->names) return VL_GUARD_NAMES;
  guard->table[place] = hash;
  guard->table_count++;
  return VL_GUARD_OK;
}

static int is_blank(uint32_t c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static void hash_on(VLGuard *guard, uint32_t c) {
  guard->hash = (guard->hash ^ (c & 0xFF)) * 0x100000001B3u;
  if (c > 0xFF) guard->hash = (guard->hash ^ (c >> 8)) * 0x100000001B3u;
}

// Whether the name read so far ends with this character; "xmlns" and "xmlns:..." are told by their hash.
static int begin_value(VLGuard *guard, uint32_t c) {
  guard->quote = c;
  guard->state = VALUE;
  guard->hash = first_hash;
  return VL_GUARD_OK;
}

static void close_tag(VLGuard *guard) {
  guard->state = TEXT;
  guard->length = 0;
}

// After '<' and '!': a comment, character data, or a declaration.
static void declaration(VLGuard *guard, uint32_t c) {
  if (guard->length == 3 && c == '-') {
    guard->dashes = 1;
  } else if (guard->length == 4 && c == '-' && guard->dashes) {
    guard->state = COMMENT;
    guard->dashes = 0;
    guard->length = 0;
  } else if (guard->length == 3 && c == '[') {
    guard->state = CDATA;
    guard->dashes = 0;
  } else if (c == '>') {
    close_tag(guard);
  }
}

// Counts how many of `mark` have come together, and ends the section at '>' after `wanted` of them.
static void section(VLGuard *guard, uint32_t c, uint32_t mark, uint32_t wanted) {
  if (c == mark) {
    guard->dashes++;
  } else if (c == '>' && guard->dashes >= wanted) {
    close_tag(guard);
  } else {
    guard->dashes = 0;
  }
}

static int in_tag(VLGuard *guard, uint32_t c) {
  if (c == '>') {
    if (!guard->dashes) guard->open++;
    close_tag(guard);
    return guard->open > guard->depth ? VL_GUARD_DEPTH : VL_GUARD_OK;
  }
  guard->dashes = c == '/';
  if (c == '/' || is_blank(c)) return VL_GUARD_OK;
  guard->state = ATTRIBUTE;
  guard->hash = first_hash;
  guard->is_namespace = 0;
  hash_on(guard, c);
  return ++guard->attribute_count > guard->attributes ? VL_GUARD_ATTRIBUTES : VL_GUARD_OK;
}

static int name_ends(VLGuard *guard) { return vl_guard_add_name(guard, guard->hash); }

// A character of a tag in which names, attributes and values are told apart.
static int start_tag(VLGuard *guard, uint32_t c) {
  int result = VL_GUARD_OK;
  switch (guard->state) {
    case NAME:
      if (!is_blank(c) && c != '/' && c != '>') {
        hash_on(guard, c);
        return VL_GUARD_OK;
      }
      result = name_ends(guard);
      guard->state = TAG;
      guard->dashes = 0;
      return result ? result : in_tag(guard, c);
    case TAG: return in_tag(guard, c);
    case ATTRIBUTE:
      if (c == ':' || c == '=') {
        static const uint8_t xmlns[] = "xmlns";
        if (guard->hash == vl_name_hash(xmlns, 5)) guard->is_namespace = 1;
      }
      if (!is_blank(c) && c != '=' && c != '/' && c != '>') {
        hash_on(guard, c);
        return VL_GUARD_OK;
      }
      result = name_ends(guard);
      guard->state = c == '=' || is_blank(c) ? EQUALS : TAG;
      return result ? result : guard->state == TAG ? in_tag(guard, c) : VL_GUARD_OK;
    case EQUALS:
      if (c == '"' || c == '\'') return begin_value(guard, c);
      if (is_blank(c) || c == '=') return VL_GUARD_OK;
      guard->state = TAG;
      return in_tag(guard, c);
    default:  // VALUE
      if (c == guard->quote) {
        guard->state = TAG;
        guard->dashes = 0;
        return guard->is_namespace ? name_ends(guard) : VL_GUARD_OK;
      }
      if (guard->is_namespace) hash_on(guard, c);
      return VL_GUARD_OK;
  }
}

static int step(VLGuard *guard, uint32_t c) {
  if (c == '\n') guard->lines++;
  if (guard->state == TEXT) {
    if (c == '<') {
      guard->state = OPENED;
      guard->length = guard->unit;
    }
    return VL_GUARD_OK;
  }
  guard->length += guard->unit;
  uint64_t most = guard->state >= COMMENT ? guard->comment_bytes : guard->tag_bytes;
  if (guard->length > most && guard->state != CDATA)
    return guard->state >= COMMENT ? VL_GUARD_COMMENT : VL_GUARD_TAG;
  switch (guard->state) {
    case OPENED:
      guard->hash = first_hash;
      guard->attribute_count = 0;
      guard->dashes = 0;
      if (c == '/') {
        guard->state = END_TAG;
      } else if (c == '!') {
        guard->state = DECLARATION;
        guard->length = 2;
      } else if (c == '?') {
        guard->state = TARGET;
      } else {
        guard->state = NAME;
        hash_on(guard, c);
      }
      return VL_GUARD_OK;
    case END_TAG:
      if (c == '>') {
        if (guard->open) guard->open--;
        close_tag(guard);
      }
      return VL_GUARD_OK;
    case DECLARATION:
      guard->length -= guard->unit - 1;
      declaration(guard, c);
      return VL_GUARD_OK;
    case COMMENT: section(guard, c, '-', 2); return VL_GUARD_OK;
    case CDATA: section(guard, c, ']', 2); return VL_GUARD_OK;
    case TARGET:
      if (!is_blank(c) && c != '?') {
        hash_on(guard, c);
        return VL_GUARD_OK;
      }
      guard->state = INSTRUCTION;
      section(guard, c, '?', 1);
      return name_ends(guard);
    case INSTRUCTION: section(guard, c, '?', 1); return VL_GUARD_OK;
    default: return start_tag(guard, c);
  }
}

int vl_guard_check(VLGuard *guard, const uint8_t *bytes, size_t count, size_t *at) {
  for (size_t i = 0; i < count; i++) {
    uint32_t c = bytes[i];
    if (guard->unit == 2) {
      if (!guard->pending_count) {
        guard->pending = bytes[i];
        guard->pending_count = 1;
        continue;
      }
      guard->pending_count = 0;
      c = guard->big_endian ? (uint32_t)guard->pending << 8 | c : c << 8 | guard->pending;
    } else if (guard->state == TEXT) {
      const uint8_t *tag = memchr(bytes + i, '<', count - i);
      size_t next = tag ? (size_t)(tag - bytes) : count;
      guard->lines += vl_lines(bytes + i, next - i);
      i = next;
      if (!tag) break;
      c = '<';
    }
    int violation = step(guard, c);
    if (violation) {
      *at = i;
      return violation;
    }
  }
  *at = count;
  return VL_GUARD_OK;
}
