/* What a single image file is: size, spacing, and figures of its samples. Layer: image. */
#ifndef MEDSECUREFL_INSPECT_H
#define MEDSECUREFL_INSPECT_H

#include "medsecurefl/status.h"

MSFL_BEGIN_DECLS

enum { MSFL_INSPECT_DIMS_MAX = 8, MSFL_INSPECT_TEXT_BYTES = 72 };

/** Figures of samples; without finite ones (`n` 0) the others are 0. */
typedef struct msfl_figures {
    uint64_t n;           /**< finite samples */
    uint64_t n_nonfinite; /**< NaN and infinities, which the others leave out */
    double minimum, maximum, mean;
} msfl_figures;

/** Never holds anything that names a patient. Fields that do not apply are 0 or "". */
typedef struct msfl_inspection {
    const char *format;      /**< "PNG", "JPEG", "DICOM", "NIfTI", "NPY", "NPZ" */
    const char *error;       /**< NULL, or a name of docs/formats/inspect.md; msfl_error_message has the sentence */
    const char *dtype;       /**< of the samples in memory: "uint8" ... "float64" */
    const char *colour;      /**< "grey", "grey inverted", "RGB", "RGBA", "YBR", "palette", "complex" */
    const char *affine_from; /**< "dicom", "sform", "qform", "assumed", or "" */
    uint64_t shape[MSFL_INSPECT_DIMS_MAX];
    uint32_t n_shape;     /**< 4: frames or slices (of all times), rows, columns, channels; for arrays their own axes */
    uint32_t times;       /**< how many volumes in sequence `shape[0]` counts */
    double spacing_mm[3]; /**< between slices, rows, columns; 0: not known */
    uint64_t dims[MSFL_INSPECT_DIMS_MAX];
    double dims_step[MSFL_INSPECT_DIMS_MAX];
    uint32_t n_dims; /**< NIfTI: of `dims`, axes as in the header, the first fastest */
    uint32_t bits_stored;
    msfl_figures stored, rescaled; /**< of complex numbers, those of real and imaginary parts together */
    double rgb_mean[3];            /**< of colour images, after conversion to RGB or through the palette */
    double slope, intercept;
    double window_centre, window_width;
    double affine[3][4]; /**< (column, row, slice, 1) to mm to the Right, Anterior, Superior */
    bool has_rgb_mean;
    bool has_rescale; /**< one for all frames; a table or one for each frame leave it false */
    bool has_window;
    char axes[4];    /**< "LPS": sides that columns, rows, slices run to */
    char digest[65]; /**< BLAKE2b-256 of the samples: see docs/formats/inspect.md */
    char transfer_syntax[MSFL_INSPECT_TEXT_BYTES], modality[MSFL_INSPECT_TEXT_BYTES]; /**< DICOM */
    char array[MSFL_INSPECT_TEXT_BYTES]; /**< NPZ: which array this is about; the largest */
} msfl_inspection;

/**
 * Read one file and measure it. Memory: the file and its samples, at most 4 GiB, whatever it claims; a DICOM file is
 * decoded in a process of its own. May be called by several threads at once.
 * On an error `out->error` is set, and of the rest at most `format`.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_inspect_file(const char *path, msfl_inspection *out);

/** One volume that single files make up, or one file that is a volume or film by itself. */
typedef struct msfl_volume_facts {
    size_t n_files;
    const uint32_t *files; /**< numbers of paths, in the order of the slices */
    uint64_t shape[4];     /**< slices or frames, rows, columns, channels */
    double spacing_mm[3];  /**< as in msfl_inspection */
    const char *dtype;
    char modality[MSFL_INSPECT_TEXT_BYTES];
    bool by_position;      /**< sorted by where the slices lie; else by their numbers in the series */
    uint32_t n_gaps;       /**< places where slices are missing */
    uint32_t n_missing;    /**< how many would fill them */
    uint32_t n_duplicates; /**< slices at the place (or of the number) of another; shape[0] counts them */
    uint32_t n_aside;      /**< slices beside the line from the first to the last: of another volume */
    bool uneven;           /**< distances differ by more than a tenth */
} msfl_volume_facts;

/** Why a file is in no volume: msfl_inspection's `error`, and the sentence. */
typedef struct msfl_volume_excuse {
    uint32_t file;
    const char *error;
    char *message;
} msfl_volume_excuse;

typedef struct msfl_volumes {
    size_t n, n_excuses;
    msfl_volume_facts *volumes;  /**< in the order of their first file in `paths` */
    msfl_volume_excuse *excuses; /**< in the order of `paths` */
    uint32_t *order;             /**< what `files` points into */
} msfl_volumes;

/**
 * Sort DICOM files into volumes by their headers: by series, size, type, orientation and place, whatever the files are
 * called; mixed series come apart. Their pixel data is not decoded. Files that cannot be read, or are not DICOM, are
 * excused. `n_threads` as in msfl_dataset_options. Free `out` with msfl_volumes_clear.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_inspect_series(const char *const *paths, size_t n, uint32_t n_threads,
                                                        msfl_volumes *out);
/** Frees what msfl_inspect_series made and empties it; one that is zeroed is fine. */
MSFL_API void msfl_volumes_clear(msfl_volumes *volumes);

MSFL_END_DECLS

#endif
