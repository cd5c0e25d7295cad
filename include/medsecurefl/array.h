/* Arrays of numbers in files: NumPy's .npy and .npz, and plain text. Layer: image. */
#ifndef MEDSECUREFL_ARRAY_H
#define MEDSECUREFL_ARRAY_H

#include "medsecurefl/status.h"

MSFL_BEGIN_DECLS

enum { MSFL_ARRAY_DIMS_MAX = 8 };
#define MSFL_ARRAY_VALUES_MAX ((uint64_t)1 << 33)

/** Row-major, float32. */
typedef struct msfl_array {
    uint32_t rank; /**< 0 for a single number */
    uint64_t dims[MSFL_ARRAY_DIMS_MAX];
    uint64_t n_values;
    float *values;
} msfl_array;

/**
 * Read an array, whatever the file's name: .npy; .npz with one array, or with the one called `name`; or text, numbers
 * between blanks, commas and newlines, '#' to the end of the line being a comment. Whole numbers and wider floats
 * become float32, where a number beyond its range becomes infinite. `name` may be NULL.
 *
 * @retval MSFL_ERR_FORMAT       not an array, or cut off; text names the line
 * @retval MSFL_ERR_UNSUPPORTED  not numbers, or in Fortran order
 * @retval MSFL_ERR_MISSING      no array of that name
 * @retval MSFL_ERR_USAGE        several arrays and no name, or a name for a file that holds one array only
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_array_load(const char *path, const char *name, msfl_array *out);
/** Frees what it holds and empties it; an empty one is fine. */
MSFL_API void msfl_array_clear(msfl_array *array);

/** As .npy if `path` ends in it, otherwise as text, one number a line, nine digits: it reads back the same. ERR_EXISTS
 *  unless `replace`. */
MSFL_API MSFL_NODISCARD msfl_status msfl_array_save(const char *path, const msfl_array *array, bool replace);

MSFL_END_DECLS

#endif
