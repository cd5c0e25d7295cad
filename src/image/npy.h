/* The header of a NumPy .npy array, versions 1 to 3. */
#ifndef MSFL_IMAGE_NPY_H
#define MSFL_IMAGE_NPY_H

#include "medsecurefl/status.h"

enum { MSFL_NPY_DIMS_MAX = 8, MSFL_NPY_HEADER_BYTES_MAX = 1 << 16, MSFL_NPY_PREFIX_BYTES = 12 };

typedef struct msfl_npy {
    char kind;           /**< 'b' bool, 'u', 'i', 'f', or text: 'S' bytes, 'U' UTF-32 */
    uint32_t item_bytes; /**< u, i: 1, 2, 4, 8; f: 2, 4, 8; b: 1; text: up to 4096 */
    bool big_endian;
    bool fortran; /**< first index varies fastest */
    uint32_t n_dims;
    uint64_t dims[MSFL_NPY_DIMS_MAX];
    uint64_t n_items;      /**< product of dims */
    uint64_t header_bytes; /**< where the data begins */
    uint64_t data_bytes;   /**< n_items x item_bytes */
} msfl_npy;

/** Length of prefix and header together, from the first MSFL_NPY_PREFIX_BYTES bytes. ERR_FORMAT, ERR_LIMIT. */
msfl_status msfl_npy_header_bytes(const char *name, const uint8_t prefix[MSFL_NPY_PREFIX_BYTES],
                                  size_t *header_bytes) MSFL_NODISCARD;

/**
 * Read a whole header of `length` bytes (msfl_npy_header_bytes). ERR_UNSUPPORTED, naming the type, for pickled objects,
 * structured, complex and date types; ERR_FORMAT for anything malformed; ERR_LIMIT when the size overflows.
 */
msfl_status msfl_npy_parse(const char *name, const uint8_t *bytes, size_t length, msfl_npy *out) MSFL_NODISCARD;

/** "(3, 4)" and such, for messages and reports; `text` holds 200 bytes. Returns `text`. */
char *msfl_npy_shape_text(const msfl_npy *array, char text[200]);

/** Item at `p` of a bool, integer or float array as a double (64-bit integers round beyond 2^53). */
double msfl_npy_number(const msfl_npy *array, const uint8_t *p);

/** Item at `p` of any array as text: whole numbers exactly, also where they come as floats; UTF-32 as UTF-8, with other
 *  code points than Unicode's as '?'. `text` holds MSFL_NPY_TEXT_BYTES. */
enum { MSFL_NPY_TEXT_BYTES = 4100 };
void msfl_npy_text(const msfl_npy *array, const uint8_t *p, char text[MSFL_NPY_TEXT_BYTES]);

#endif
