/* NIfTI-1 and NIfTI-2: .nii, .nii.gz, and pairs of .hdr and .img, of either byte order.
 *
 * The format is a fixed header and an array, so it is read here and not by a library: what is trusted stands in one
 * place. Sources: the nifti1.h and nifti2.h headers of the NIfTI Data Format Working Group. */
#ifndef MSFL_IMAGE_NIFTI_H
#define MSFL_IMAGE_NIFTI_H

#include "image/image.h"

#include <stdio.h>

enum { MSFL_NIFTI_HEADER_BYTES = 540 };

typedef struct msfl_nifti {
    uint32_t version; /**< 1 or 2 */
    bool big_endian;
    bool pair; /**< the samples are in another file */
    int16_t datatype;
    uint32_t n_dims;
    uint32_t dims[7];     /**< 1 beyond n_dims */
    double dims_step[7];  /**< in the units of the header, as they stand */
    uint64_t data_offset; /**< of the samples */
    int16_t qform_code, sform_code;
} msfl_nifti;

/** Whether these first bytes of a file (unpacked) are a NIfTI header's. */
bool msfl_nifti_sniff(const uint8_t *bytes, size_t length);

/**
 * Read a header of `length` bytes. `image` becomes what it describes, without samples: the first three axes are
 * columns, rows and slices, all further ones are laid into `times`. Type codes 2 to 512, 768, 1024, 1280, 1792 and 2304
 * are known, that is all but single bits and floats of 128 bits, whose layout differs between machines.
 * Faults: TRUNCATED, UNKNOWN_FORMAT, BAD_SIZE, TOO_LARGE, UNSUPPORTED_TYPE, DAMAGED.
 */
msfl_status msfl_nifti_header(const char *name, const uint8_t *bytes, size_t length, msfl_nifti *out,
                              msfl_image *image) MSFL_NODISCARD;

/**
 * Read a whole image. `samples` is the file of the samples where header and samples are a pair, else NULL. Nothing is
 * allocated unless the file is long enough to hold it, a compressed one by what deflate can reach.
 * On an error both outputs are unchanged.
 */
msfl_status msfl_nifti_read(const char *name, FILE *file, FILE *samples, msfl_nifti *out,
                            msfl_image *image) MSFL_NODISCARD;

#endif
