/* One image type for all that is read: a picture, a film of frames, or a volume of slices, one after another in time.
 *
 * Samples lie time by time, slice by slice, row by row, channels interleaved (THWC with a slice axis in between), as
 * they are stored in the file: before rescale, window, palette and colour conversion, which stand beside them. What
 * trains a network is a *picture*: one frame, unsigned, 8 or 16 bits, grey or RGB (msfl_image_picture). */
#ifndef MSFL_IMAGE_IMAGE_H
#define MSFL_IMAGE_IMAGE_H

#include "medsecurefl/status.h"

/** No side is longer and no picture larger than this; a header that claims more is refused before anything is
 *  allocated. The largest detectors (digital mammography, long-leg films) stay below. */
enum { MSFL_IMAGE_SIDE_MAX = 16384, MSFL_IMAGE_PIXELS_MAX = 64 << 20 };

/** Samples of a film or volume, in bytes: a whole-body CT has half of it. */
#define MSFL_VOLUME_BYTES_MAX ((uint64_t)2 << 30)

/** Largest picture file that is read. */
enum { MSFL_IMAGE_FILE_BYTES_MAX = 512 << 20 };

typedef enum msfl_image_format {
    MSFL_FORMAT_NONE, /**< none of these */
    MSFL_FORMAT_PNG,
    MSFL_FORMAT_JPEG,
    MSFL_FORMAT_DICOM,
    MSFL_FORMAT_NIFTI, /**< also compressed by gzip */
    MSFL_FORMAT_NPY,
    MSFL_FORMAT_NPZ
} msfl_image_format;

/** "PNG", "DICOM" and such; "" for none. */
const char *msfl_image_format_name(msfl_image_format format);

/** What the header of a file says of the picture that its first frame makes (palette to grey or RGB, no alpha). */
typedef struct msfl_image_header {
    uint32_t width, height;
    uint32_t channels; /**< 1 or 3 */
    uint32_t bits;     /**< 8 or 16 */
    msfl_image_format format;
} msfl_image_header;

typedef enum msfl_sample_kind { MSFL_SAMPLES_UNSIGNED, MSFL_SAMPLES_SIGNED, MSFL_SAMPLES_FLOAT } msfl_sample_kind;

/** What the channels of a sample mean. */
typedef enum msfl_colour {
    MSFL_COLOUR_GREY,
    MSFL_COLOUR_GREY_INVERTED, /**< MONOCHROME1: the smallest value is white */
    MSFL_COLOUR_RGB,
    MSFL_COLOUR_RGBA,
    MSFL_COLOUR_YBR,         /**< luma and two chroma differences, full range (Rec. 601) */
    MSFL_COLOUR_YBR_PARTIAL, /**< the same in 16..235 and 16..240 */
    MSFL_COLOUR_PALETTE,     /**< one channel: indices into `palette` */
    MSFL_COLOUR_COMPLEX      /**< two channels: real and imaginary part */
} msfl_colour;

/** Where a volume's affine comes from. */
typedef enum msfl_affine_source {
    MSFL_AFFINE_NONE,
    MSFL_AFFINE_DICOM,
    MSFL_AFFINE_SFORM,
    MSFL_AFFINE_QFORM,
    MSFL_AFFINE_ASSUMED /**< NIfTI without either: spacing alone, first axis to the left, as other readers assume */
} msfl_affine_source;

/** value = slope x stored + intercept */
typedef struct msfl_rescale {
    double slope, intercept;
} msfl_rescale;

typedef enum msfl_window_function {
    MSFL_WINDOW_NONE,
    MSFL_WINDOW_LINEAR, /**< PS3.3 C.11.2.1.2.1: with the half steps at the ends */
    MSFL_WINDOW_LINEAR_EXACT,
    MSFL_WINDOW_SIGMOID
} msfl_window_function;

typedef struct msfl_window {
    msfl_window_function function;
    double centre, width; /**< in rescaled values */
} msfl_window;

/** A look-up table: the entry of v is values[v - first], the first and last ones beyond its ends. n = 0: no table. */
typedef struct msfl_table {
    int32_t first;
    uint32_t n;    /**< up to 65536 */
    uint32_t bits; /**< of an entry: 8 to 16 */
    uint16_t *values;
} msfl_table;

/** Zero-initialise; msfl_image_clear when done. */
typedef struct msfl_image {
    uint32_t width, height, channels;
    uint32_t bits; /**< memory of one sample: 8, 16, 32 or 64 */
    void *samples; /**< times x depth x height x width x channels */
    msfl_sample_kind kind;
    msfl_colour colour;
    uint32_t bits_stored;  /**< of `bits`, those that carry the value */
    uint32_t depth, times; /**< slices or frames, and volumes in sequence; 1 for a picture */
    double spacing[3];     /**< mm between columns, rows, slices; 0: not known */
    msfl_affine_source affine_source;
    double affine[3][4]; /**< (column, row, slice, 1) to mm to the Right, Anterior and Superior */
    msfl_rescale rescale;
    msfl_rescale *rescales; /**< one for each of depth x times frames where they differ, else NULL */
    msfl_window window;
    msfl_table palette[3]; /**< red, green, blue */
    msfl_table modality;   /**< takes the place of `rescale` */
    msfl_table voi;        /**< takes the place of `window` */
} msfl_image;

/** ERR_LIMIT, with `name` and the limits in the message, when a picture of this size is not accepted; ERR_FORMAT when a
 *  side is 0. */
msfl_status msfl_image_check_size(const char *name, uint64_t width, uint64_t height) MSFL_NODISCARD;

/** Fill `out` with a black picture of unsigned samples. The size must have been checked. */
msfl_status msfl_image_new(uint32_t width, uint32_t height, uint32_t channels, uint32_t bits,
                           msfl_image *out) MSFL_NODISCARD;

/** Room for the samples that the sizes, `bits` and `channels` in `image` ask for; ERR_LIMIT above
 *  MSFL_VOLUME_BYTES_MAX. */
msfl_status msfl_image_allocate(const char *name, msfl_image *image) MSFL_NODISCARD;
void msfl_image_clear(msfl_image *image);

/** "uint8" ... "float64" of the samples in memory. */
const char *msfl_image_dtype(const msfl_image *image);

/** depth x times, samples of one frame, and bytes of all; the image must be one that was allocated. */
uint32_t msfl_image_frames(const msfl_image *image);
size_t msfl_image_frame_samples(const msfl_image *image);
uint64_t msfl_image_bytes(const msfl_image *image);

/** Sample number `i` as stored; integers of 64 bits round beyond 2^53. */
double msfl_image_sample(const msfl_image *image, size_t i);
/** A stored value of frame `frame` after the modality table or rescale. */
double msfl_image_rescaled(const msfl_image *image, uint32_t frame, double stored);
/** Entry of a table with n > 0. */
uint16_t msfl_table_entry(const msfl_table *table, double value);

/**
 * The picture in another size, number of channels and depth, written to `out` (height x width x channels of uint8_t or
 * uint16_t by `bits`). `in` is a picture.
 *
 * Per axis: smaller by averaging over the area that a new pixel covers, larger by linear interpolation between pixel
 * centres (edges repeat), equal by copying. The whole picture is stretched to the new size, whatever its proportions.
 * RGB to grey is Rec. 601 luma (0.299, 0.587, 0.114); grey to RGB repeats. Full scale maps to full scale (255 <->
 * 65535). All of it in float, rounded once at the end.
 */
msfl_status msfl_image_fit(const msfl_image *in, uint32_t width, uint32_t height, uint32_t channels, uint32_t bits,
                           void *out) MSFL_NODISCARD;

#endif
