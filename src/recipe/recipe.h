/* A preprocessing recipe: what is done to every image before a network sees it, written down once and hashed, so that
 * hospitals can show each other that they did the same. See docs/design/recipe.md. */
#ifndef MSFL_RECIPE_RECIPE_H
#define MSFL_RECIPE_RECIPE_H

#include "base/bytes.h"
#include "base/sodium.h"

enum {
    MSFL_RECIPE_VERSION = 1,
    MSFL_RECIPE_STEPS_MAX = 32,
    MSFL_RECIPE_SEQUENCES_MAX = 8,
    MSFL_RECIPE_CHANNELS_MAX = 16, /**< of a picture that comes out: what a set holds (docs/formats/set.md) */
    MSFL_RECIPE_NEIGHBOURS_MAX = (MSFL_RECIPE_CHANNELS_MAX - 1) / 2,
    MSFL_RECIPE_NAME_BYTES = 64,
    MSFL_RECIPE_BYTES_MAX = 1 << 16,
    MSFL_RECIPE_SIDE_MAX = 4096,     /**< pixels of a side after `fit` or `resize` */
    MSFL_RECIPE_SLICES_MAX = 1024,   /**< of one volume */
    MSFL_RECIPE_VALUES_MAX = 1 << 26 /**< of a volume that comes out */
};

typedef enum msfl_step_kind {
    MSFL_STEP_ORIENT,
    MSFL_STEP_RESAMPLE,
    MSFL_STEP_WINDOW,
    MSFL_STEP_PERCENTILES,
    MSFL_STEP_ZSCORE,
    MSFL_STEP_FIT,
    MSFL_STEP_RESIZE,
    MSFL_STEP_SLICES
} msfl_step_kind;

/** Which values count in a statistic, or as content. */
typedef enum msfl_region_kind {
    MSFL_REGION_ALL,
    MSFL_REGION_NONZERO,
    MSFL_REGION_ABOVE, /**< greater than `above` */
    MSFL_REGION_OTSU   /**< greater than Otsu's threshold of the volume */
} msfl_region_kind;

typedef struct msfl_region {
    msfl_region_kind kind;
    double above;
} msfl_region;

/** One step. All triples are in the order columns, rows, slices; pictures use the first two. */
typedef struct msfl_step {
    msfl_step_kind kind;
    char axes[4];       /**< orient: the sides that columns, rows and slices run to, as "RAS" */
    double spacing[3];  /**< resample: mm */
    bool nearest;       /**< resample: no interpolation */
    double low, high;   /**< window: values; percentiles: in percent */
    msfl_region region; /**< percentiles, zscore: what counts; fit, slices: what is content */
    uint32_t size[3];   /**< fit, resize */
    bool on_content;    /**< fit: about the middle of the content, not of the image */
    bool fill_minimum;  /**< fit: pad with the smallest value, not with `fill` */
    double fill;
    uint32_t axis;       /**< slices: 0 to 2, the axis along which they are taken */
    bool upright;        /**< slices by a name: as they are looked at, the first row anterior or superior */
    uint32_t count;      /**< slices: evenly spaced among the eligible; 0: all of them */
    double share;        /**< slices: eligible is what has this share of the content of the fullest slice; 0: all are */
    uint32_t neighbours; /**< slices: so many on either side are channels of the picture too */
} msfl_step;

/** What a mirrored picture would be. */
typedef enum msfl_mirrored {
    MSFL_MIRRORED_OTHER,    /**< another picture: left and right mean something */
    MSFL_MIRRORED_SIDEWAYS, /**< one that could be: left and right may change places */
    MSFL_MIRRORED_ANY       /**< the same upside down */
} msfl_mirrored;
/** "matters", "irrelevant", "unoriented"; then NULL. */
extern const char *const msfl_mirrored_words[4];

typedef struct msfl_recipe {
    char name[MSFL_RECIPE_NAME_BYTES]; /**< for people; not hashed */
    bool volumes;                      /**< inputs are volumes; else pictures */
    bool display;           /**< values as they are looked at, 0 to 1 by the file's own window; else as measured */
    bool rgb;               /**< three channels of colour; else grey */
    msfl_mirrored mirrored; /**< key laterality */
    uint32_t n_sequences;
    char sequences[MSFL_RECIPE_SEQUENCES_MAX][MSFL_RECIPE_NAME_BYTES]; /**< columns of labels.csv, one channel each */
    msfl_step steps[MSFL_RECIPE_STEPS_MAX];
    uint32_t n_steps;
    uint32_t bits;                    /**< of a stored sample: 8 or 16 */
    double low, high;                 /**< values that the smallest and the largest sample stand for */
    uint32_t width, height, channels; /**< of the pictures that come out */
    uint32_t neighbours;              /**< of its step slices; each sequence has 2 x neighbours + 1 channels */
    uint32_t depth;                   /**< slices of the volume that comes out; 1: pictures */
    uint8_t hash[MSFL_HASH_BYTES];    /**< of the canonical text */
} msfl_recipe;

/** Parse. Errors begin with "name: line L, column C: ". On error `out` is unchanged. */
msfl_status msfl_recipe_parse(const char *name, const char *text, size_t length, msfl_recipe *out) MSFL_NODISCARD;
msfl_status msfl_recipe_read(const char *path, msfl_recipe *out) MSFL_NODISCARD;

/** The recipe with all defaults spelled out, in one fixed form: what is hashed, and what msfl_recipe_parse reads back
 * to the same hash. Without the name. */
void msfl_recipe_text(const msfl_recipe *recipe, msfl_buffer *out);

#endif
