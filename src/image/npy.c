#include "image/npy.h"

#include "base/bytes.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>

enum { TEXT_ITEM_BYTES_MAX = 4096 };

msfl_status msfl_npy_header_bytes(const char *name, const uint8_t prefix[MSFL_NPY_PREFIX_BYTES], size_t *header_bytes) {
    if (memcmp(prefix, "\x93NUMPY", 6) != 0) return msfl_fail(MSFL_ERR_FORMAT, "%s: not a NumPy array", name);
    size_t length;
    if (prefix[6] == 1) {
        length = 10 + (size_t)msfl_load16(prefix + 8);
    } else if (prefix[6] == 2 || prefix[6] == 3) {
        length = 12 + (size_t)msfl_load32(prefix + 8);
    } else {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: NumPy format version %u; 1 to 3 are known", name, prefix[6]);
    }
    if (length > MSFL_NPY_HEADER_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: an array header of %zu bytes; at most %d are accepted", name, length,
                         MSFL_NPY_HEADER_BYTES_MAX);
    }
    if (length < MSFL_NPY_PREFIX_BYTES) return msfl_fail(MSFL_ERR_FORMAT, "%s: the array header is too short", name);
    *header_bytes = length;
    return MSFL_OK;
}

/* The header is a Python literal: {'descr': '<u2', 'fortran_order': False, 'shape': (3, 4), }. */
typedef struct literal {
    const char *name;
    const char *at, *end;
} literal;

static msfl_status bad(const literal *l, const char *what) {
    return msfl_fail(MSFL_ERR_FORMAT, "%s: the array header is malformed: %s", l->name, what);
}

static void skip_space(literal *l) {
    while (l->at < l->end && (*l->at == ' ' || *l->at == '\n' || *l->at == '\t' || *l->at == '\r'))
        l->at++;
}

static bool eat(literal *l, char c) {
    skip_space(l);
    if (l->at >= l->end || *l->at != c) return false;
    l->at++;
    return true;
}

static bool eat_word(literal *l, const char *word) {
    skip_space(l);
    size_t n = strlen(word);
    if ((size_t)(l->end - l->at) < n || memcmp(l->at, word, n) != 0) return false;
    l->at += n;
    return true;
}

/* A string without escapes, of at most `capacity` - 1 bytes. */
static bool eat_string(literal *l, char *out, size_t capacity) {
    skip_space(l);
    if (l->at >= l->end || (*l->at != '\'' && *l->at != '"')) return false;
    char quote = *l->at++;
    size_t n = 0;
    for (; l->at < l->end && *l->at != quote; l->at++) {
        if (n + 1 >= capacity || *l->at == '\\' || *l->at == 0) return false;
        out[n++] = *l->at;
    }
    if (l->at >= l->end) return false;
    l->at++;
    out[n] = 0;
    return true;
}

static bool eat_number(literal *l, uint64_t *out) {
    skip_space(l);
    uint64_t v = 0;
    bool any = false;
    for (; l->at < l->end && *l->at >= '0' && *l->at <= '9'; l->at++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*l->at - '0'), &v)) return false;
        any = true;
    }
    /* Python 2 wrote long integers as 12L. */
    if (any && l->at < l->end && *l->at == 'L') l->at++;
    *out = v;
    return any;
}

static msfl_status read_type(literal *l, msfl_npy *out) {
    skip_space(l);
    if (l->at < l->end && *l->at == '[') {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: a structured array; store one plain array per field", l->name);
    }
    char text[32];
    if (!eat_string(l, text, sizeof text)) return bad(l, "no type in 'descr'");
    const char *p = text;
    char order = '|';
    if (*p == '<' || *p == '>' || *p == '|' || *p == '=') order = *p++;
    char kind = *p;
    if (kind != 0) p++;
    if (kind == 'O') {
        return msfl_fail(
            MSFL_ERR_UNSUPPORTED,
            "%s: an array of pickled Python objects (dtype object), which are never loaded because they can "
            "run code; save it as a numeric array",
            l->name);
    }
    literal digits = {l->name, p, p + strlen(p)};
    uint64_t size = 0;
    bool sized = eat_number(&digits, &size) && digits.at == digits.end;
    bool known = false;
    switch (kind) {
    case 'b':
        known = size == 1;
        break;
    case 'u':
    case 'i':
        known = size == 1 || size == 2 || size == 4 || size == 8;
        break;
    case 'f':
        known = size == 2 || size == 4 || size == 8;
        break;
    case 'S':
        known = size >= 1 && size <= TEXT_ITEM_BYTES_MAX;
        break;
    case 'U':
        known = size >= 1 && size <= TEXT_ITEM_BYTES_MAX / 4;
        size *= 4;
        break;
    default:
        break;
    }
    if (!sized || !known) {
        return msfl_fail(
            MSFL_ERR_UNSUPPORTED,
            "%s: an array of type '%s'; known are bool, integers, float16, float32, float64 and short text", l->name,
            text);
    }
    out->kind = kind;
    out->item_bytes = (uint32_t)size;
    out->big_endian = order == '>';
    return MSFL_OK;
}

static msfl_status read_shape(literal *l, msfl_npy *out) {
    if (!eat(l, '(')) return bad(l, "'shape' is not a tuple");
    out->n_dims = 0;
    while (!eat(l, ')')) {
        if (out->n_dims == MSFL_NPY_DIMS_MAX) {
            return msfl_fail(MSFL_ERR_LIMIT, "%s: an array of more than %d dimensions", l->name, MSFL_NPY_DIMS_MAX);
        }
        if (!eat_number(l, &out->dims[out->n_dims])) return bad(l, "'shape' holds something else than numbers");
        out->n_dims++;
        if (!eat(l, ',') && !(l->at < l->end && *l->at == ')')) return bad(l, "'shape' does not end");
    }
    return MSFL_OK;
}

static msfl_status read_size(const char *name, msfl_npy *out) {
    out->n_items = 1;
    bool overflow = false;
    /* A zero anywhere makes the array empty, but the other sides still have to be sane. */
    uint64_t sides = 1;
    for (uint32_t i = 0; i < out->n_dims; i++) {
        out->n_items *= out->dims[i];
        if (out->dims[i] != 0) overflow |= __builtin_mul_overflow(sides, out->dims[i], &sides);
    }
    overflow |= __builtin_mul_overflow(sides, (uint64_t)out->item_bytes, &sides) || sides > INT64_MAX;
    if (overflow) return msfl_fail(MSFL_ERR_LIMIT, "%s: the array's shape is larger than any memory", name);
    out->data_bytes = out->n_items * out->item_bytes;
    return MSFL_OK;
}

msfl_status msfl_npy_parse(const char *name, const uint8_t *bytes, size_t length, msfl_npy *out) {
    size_t header_bytes = 0;
    if (length < MSFL_NPY_PREFIX_BYTES) return msfl_fail(MSFL_ERR_FORMAT, "%s: not a NumPy array", name);
    msfl_status status = msfl_npy_header_bytes(name, bytes, &header_bytes);
    if (status != MSFL_OK) return status;
    if (header_bytes > length) return msfl_fail(MSFL_ERR_FORMAT, "%s: the array header is cut short", name);

    msfl_npy array = {.header_bytes = header_bytes};
    size_t prefix = bytes[6] == 1 ? 10 : 12;
    literal l = {name, (const char *)bytes + prefix, (const char *)bytes + header_bytes};
    bool have_type = false, have_order = false, have_shape = false;
    if (!eat(&l, '{')) return bad(&l, "no dictionary");
    while (!eat(&l, '}')) {
        char key[32];
        if (!eat_string(&l, key, sizeof key) || !eat(&l, ':')) return bad(&l, "no key");
        if (strcmp(key, "descr") == 0 && !have_type) {
            have_type = true;
            status = read_type(&l, &array);
        } else if (strcmp(key, "fortran_order") == 0 && !have_order) {
            have_order = true;
            array.fortran = eat_word(&l, "True");
            if (!array.fortran && !eat_word(&l, "False")) return bad(&l, "'fortran_order' is neither True nor False");
        } else if (strcmp(key, "shape") == 0 && !have_shape) {
            have_shape = true;
            status = read_shape(&l, &array);
        } else {
            return bad(&l, "an unknown or repeated key");
        }
        if (status != MSFL_OK) return status;
        if (!eat(&l, ',') && !(l.at < l.end && *l.at == '}')) return bad(&l, "no end");
    }
    skip_space(&l);
    if (l.at != l.end) return bad(&l, "bytes after the dictionary");
    if (!have_type || !have_order || !have_shape) return bad(&l, "'descr', 'fortran_order' or 'shape' is missing");
    status = read_size(name, &array);
    if (status == MSFL_OK) *out = array;
    return status;
}

char *msfl_npy_shape_text(const msfl_npy *array, char text[200]) {
    size_t n = (size_t)snprintf(text, 200, "(");
    for (uint32_t i = 0; i < array->n_dims; i++)
        n += (size_t)snprintf(text + n, 200 - n, "%s%llu", i > 0 ? ", " : "", (unsigned long long)array->dims[i]);
    snprintf(text + n, 200 - n, array->n_dims == 1 ? ",)" : ")");
    return text;
}

static double half_to_double(uint16_t h) {
    int exponent = h >> 10 & 31;
    double fraction = h & 1023;
    double v = exponent == 31 ? (fraction > 0 ? (double)NAN : (double)INFINITY)
               : exponent > 0 ? ldexp(1024 + fraction, exponent - 25)
                              : ldexp(fraction, -24);
    return (h & 0x8000) != 0 ? -v : v;
}

/* The item's bits, sign not yet extended. */
static uint64_t item_bits(const msfl_npy *array, const uint8_t *p) {
    uint64_t v = 0;
    for (uint32_t i = 0; i < array->item_bytes; i++)
        v |= (uint64_t)p[array->big_endian ? array->item_bytes - 1 - i : i] << (8 * i);
    return v;
}

static int64_t signed_item(const msfl_npy *array, const uint8_t *p) {
    uint32_t unused = 64 - 8 * array->item_bytes;
    if (unused > 56) return 0;
    return (int64_t)(item_bits(array, p) << unused) >> unused;
}

double msfl_npy_number(const msfl_npy *array, const uint8_t *p) {
    if (array->kind == 'i') return (double)signed_item(array, p);
    uint64_t v = item_bits(array, p);
    if (array->kind == 'b') return v != 0;
    if (array->kind != 'f') return (double)v;
    if (array->item_bytes == 2) return half_to_double((uint16_t)v);
    if (array->item_bytes == 4) {
        uint32_t word = (uint32_t)v;
        float f;
        memcpy(&f, &word, sizeof f);
        return f;
    }
    double d;
    memcpy(&d, &v, sizeof d);
    return d;
}

static size_t put_utf8(uint32_t c, char *to) {
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = '?';
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3f));
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(lead[n] | c);
    return n;
}

void msfl_npy_text(const msfl_npy *array, const uint8_t *p, char text[MSFL_NPY_TEXT_BYTES]) {
    size_t n = 0;
    switch (array->kind) {
    case 'S':
        while (n < array->item_bytes && p[n] != 0)
            n++;
        memcpy(text, p, n);
        text[n] = 0;
        return;
    case 'U':
        for (uint32_t i = 0; i + 4 <= array->item_bytes; i += 4) {
            msfl_npy one = {.kind = 'u', .item_bytes = 4, .big_endian = array->big_endian};
            uint32_t c = (uint32_t)item_bits(&one, p + i);
            if (c == 0) break;
            n += put_utf8(c, text + n);
        }
        text[n] = 0;
        return;
    case 'i':
        snprintf(text, MSFL_NPY_TEXT_BYTES, "%lld", (long long)signed_item(array, p));
        return;
    case 'f': {
        double v = msfl_npy_number(array, p);
        bool whole = fabs(v) < 0x1p53 && v == floor(v);
        snprintf(text, MSFL_NPY_TEXT_BYTES, whole ? "%.0f" : "%.17g", v + 0.0);
        return;
    }
    case 'b':
        snprintf(text, MSFL_NPY_TEXT_BYTES, "%d", p[0] != 0);
        return;
    default:
        snprintf(text, MSFL_NPY_TEXT_BYTES, "%llu", (unsigned long long)item_bits(array, p));
    }
}
