/* Single slices to volumes: by where they lie, whatever their files are called. */
#ifndef MSFL_IMAGE_SERIES_H
#define MSFL_IMAGE_SERIES_H

#include "image/dicom.h"

enum { MSFL_SERIES_FILES_MAX = 1 << 20 };

/** What a slice's header says of its place; from msfl_dicom and the image's size and spacing. */
typedef struct msfl_slice {
    uint8_t series[MSFL_HASH_BYTES];
    bool has_place;
    double position[3], orientation[6];
    int32_t instance;
    uint32_t width, height, channels, bits, kind, colour;
    double spacing[2]; /**< between columns, rows */
} msfl_slice;

/** The slice of an opened file; false for a film or volume, which is one already. */
bool msfl_slice_of(const msfl_dicom *dicom, const msfl_image *image, msfl_slice *out);

/** One volume: `first` to first + n in `order` of msfl_series. */
typedef struct msfl_stack {
    size_t first, n;
    bool has_place;        /**< sorted by position; else by number in the series */
    double spacing;        /**< mm between slices: the median distance; 0 with fewer than two */
    uint32_t n_gaps;       /**< distances of more than 1.5 times the spacing */
    uint32_t n_missing;    /**< slices that would fill them, by rounding */
    uint32_t n_duplicates; /**< slices at the place, or without places of the number, of the one before them */
    uint32_t n_aside;      /**< slices that lie beside the line from the first to the last, by half a pixel or more */
    bool uneven;           /**< some distance differs from the spacing by more than a tenth (gaps count) */
} msfl_stack;

/** Zero-initialise; msfl_series_clear when done. */
typedef struct msfl_series {
    size_t n;
    uint32_t *order; /**< numbers of slices, stack by stack, along the normal within each */
    msfl_stack *stacks;
    size_t n_stacks;
} msfl_series;

/**
 * Sort slices into volumes. One volume is what agrees in series, size, type, colours, spacing and orientation (to 0.001
 * of the direction's cosines): mixed series come apart. Stacks follow in the order of their first slice in `slices`.
 * Equal positions are duplicates, sorted by instance number, then by their order in `slices`.
 */
msfl_status msfl_series_sort(const msfl_slice *slices, size_t n, msfl_series *out) MSFL_NODISCARD;
void msfl_series_clear(msfl_series *series);

/** Why the slices are no single volume: gaps, slices beside each other, or nothing that tells their order. NULL: they
 *  are one. */
const char *msfl_stack_fault(const msfl_stack *stack);

/**
 * Put the slices of a stack together: `paths[i]` in the order of the volume, all to be of the first one's size and
 * type. Slices rescaled each in its own way (PET) keep their stored values and their own rescale. `stack` gives the
 * spacing; duplicates are left out. Refused (MSFL_FAULT_INCOMPLETE) is what msfl_stack_fault names.
 */
msfl_status msfl_series_load(const char *const *paths, const msfl_stack *stack, msfl_image *out) MSFL_NODISCARD;

#endif
