/* Image files, whatever their format. */
#ifndef MSFL_IMAGE_DECODE_H
#define MSFL_IMAGE_DECODE_H

#include "image/dicom.h"
#include "image/image.h"
#include "image/nifti.h"

/** Format by the first bytes, not by the name. A gzip file is taken for NIfTI's. */
msfl_image_format msfl_image_sniff(const uint8_t *bytes, size_t length);

/** Whether a name ends as image files do (.png, .jpg, .jpeg, .jpe, .jfif, .dcm, .dicom, .ima, .nii, .nii.gz, in any
 *  case). */
bool msfl_image_has_picture_name(const char *name);

/** Whether a regular file begins as DICOM files with a meta header do: archives often give them no ending. */
bool msfl_image_is_dicom_file(const char *path);

/** The file of the samples beside a NIfTI header x.hdr or x.hdr.gz: x.img or x.img.gz, whichever is there. `*out` is
 *  NULL where there is none or `path` ends otherwise; free it with msfl_free. ERR_MEMORY alone. */
msfl_status msfl_image_partner(const char *path, char **out) MSFL_NODISCARD;

/** What stands beside the samples, by format. */
typedef struct msfl_image_facts {
    msfl_image_format format;
    msfl_dicom dicom;
    msfl_nifti nifti;
} msfl_image_facts;

/**
 * Read a file with its samples as they are stored. With `header_only`, which concerns DICOM alone, samples may be
 * missing. A file called .dcm or .nii that holds something else is refused (MSFL_FAULT_NAME_MISMATCH): a picture that
 * was renamed has lost what those formats say about it. NPY and NPZ are not images: ERR_UNSUPPORTED.
 * On any error both outputs are unchanged; msfl_fault_name has a name for it.
 */
msfl_status msfl_image_open(const char *path, bool header_only, msfl_image_facts *facts,
                            msfl_image *out) MSFL_NODISCARD;

/** Size and depth of a file's picture (msfl_image_read). Of PNG and JPEG no more is read than needed. `path` stands in
 *  the messages. */
msfl_status msfl_image_probe(const char *path, msfl_image_header *out) MSFL_NODISCARD;

/** Decode a file to one picture: of a film or volume the middle frame of the first volume, of NIfTI the middle axial
 *  slice as it is looked at, anterior side up. Errors of msfl_image_open. On any error `out` is unchanged. */
msfl_status msfl_image_read(const char *path, msfl_image *out) MSFL_NODISCARD;

#endif
