/* NumPy .npz archives: named arrays, read as a stream. */
#ifndef MSFL_IMAGE_NPZ_H
#define MSFL_IMAGE_NPZ_H

#include "image/npy.h"
#include "image/zip.h"

typedef struct msfl_npz msfl_npz;

/** Open and read the header of every array. An entry that is no array, or of a type that is not known, fails only when
 *  it is asked for. */
msfl_status msfl_npz_open(const char *path, msfl_npz **out) MSFL_NODISCARD;
msfl_status msfl_npz_open_bytes(const char *name, const uint8_t *bytes, size_t length, msfl_npz **out) MSFL_NODISCARD;
void msfl_npz_free(msfl_npz *npz);

size_t msfl_npz_n(const msfl_npz *npz);
/** Name of an array, without ".npy". */
const char *msfl_npz_name(const msfl_npz *npz, size_t index);
bool msfl_npz_find(const msfl_npz *npz, const char *name, size_t *index);
/** What an array is: ERR_UNSUPPORTED or ERR_FORMAT, with the reason, if it cannot be used. Its data_bytes equals what
 * the archive holds for it. `*out` lives as long as `npz`. */
msfl_status msfl_npz_describe(msfl_npz *npz, size_t index, const msfl_npy **out) MSFL_NODISCARD;

/** Begin to read the data of an array; msfl_zip_entry_read hands it out, msfl_zip_entry_end checks it, and
 *  msfl_zip_entry_close ends it. */
msfl_status msfl_npz_data_open(msfl_npz *npz, size_t index, msfl_zip_entry **out) MSFL_NODISCARD;

/** All data of an array of at most `bytes_max` bytes. Free with msfl_free. */
msfl_status msfl_npz_data(msfl_npz *npz, size_t index, uint64_t bytes_max, uint8_t **out) MSFL_NODISCARD;

#endif
