/* A recipe applied to one sample: the channels of a patient's picture or volume, with a mask where there is one. */
#ifndef MSFL_RECIPE_SAMPLE_H
#define MSFL_RECIPE_SAMPLE_H

#include "recipe/recipe.h"
#include "recipe/volume.h"

/** Zero-initialise; msfl_sample_clear when done. */
typedef struct msfl_sample {
    msfl_volume channels[MSFL_RECIPE_SEQUENCES_MAX]; /**< all on one grid after the first step */
    uint32_t n_channels; /**< one for each sequence or colour. After a step slices with neighbours each holds, for every
                              slice that is taken, that slice between its neighbours; the mask the slice alone. */
    uint32_t slices[MSFL_RECIPE_SLICES_MAX]; /**< after a step slices: which of the volume's were taken */
    double between;                          /**< and how far apart those lie, mm; 0: not known */
    bool has_mask;
    msfl_volume mask; /**< takes every step that moves voxels, by the nearest one */
} msfl_sample;
void msfl_sample_clear(msfl_sample *s);

/** The image of one file as the next channel (of a recipe with rgb: the next three). Later channels are brought to the
 *  grid of the first (msfl_volume_align). */
msfl_status msfl_sample_add(const msfl_recipe *recipe, const char *name, const msfl_image *image,
                            msfl_sample *s) MSFL_NODISCARD;
/** Its mask: whole numbers, 0 the background; where there are 0 and 255 alone, 255 is structure 1. */
msfl_status msfl_sample_add_mask(const msfl_recipe *recipe, const char *name, const msfl_image *image,
                                 msfl_sample *s) MSFL_NODISCARD;

/** Take all steps of the recipe. Fails where an image cannot go through one: the message names it and the step. */
msfl_status msfl_sample_run(const msfl_recipe *recipe, const char *name, msfl_sample *s) MSFL_NODISCARD;

/** Pictures that a sample has become. Zero-initialise; msfl_pictures_clear when done. */
typedef struct msfl_pictures {
    uint32_t n;
    uint8_t *samples;  /**< n x (depth x) height x width x channels of uint8_t or little-endian uint16_t by the recipe's
                          bits */
    uint8_t *masks;    /**< n x (depth x) height x width; NULL: none */
    uint32_t *slices;  /**< of a volume: which slice each picture is of it (0 of a whole one); NULL: of none */
    double spacing[3]; /**< mm between columns, rows, and the volume's slices; 0: not known */
    uint64_t n_clipped; /**< values beyond the recipe's range, which became its ends */
} msfl_pictures;
void msfl_pictures_clear(msfl_pictures *p);

/** Bytes of one picture's (or volume's) samples, and of its mask. */
size_t msfl_recipe_picture_bytes(const msfl_recipe *recipe);
size_t msfl_recipe_mask_bytes(const msfl_recipe *recipe);

/** Values to samples: round((v - low) / (high - low) x full scale), halves up. The sample must have run. Channels are
 *  sequence after sequence, and of each the slices in their order, the picture's own in the middle. */
msfl_status msfl_sample_store(const msfl_recipe *recipe, const msfl_sample *s, msfl_pictures *out) MSFL_NODISCARD;

#endif
