/* What reading the arrays of volumes holds between its two halves. */
#ifndef MSFL_IMPORT_ARRAYS_PRIVATE_H
#define MSFL_IMPORT_ARRAYS_PRIVATE_H

#include "dataset/npz_index.h"
#include "import/arrays.h"

enum { ARRAYS_STREAMS_MAX = MSFL_RECIPE_SEQUENCES_MAX + 1 };

/* One array, or its three parts one after another. */
typedef struct arrays_stream {
    size_t index[MSFL_NPZ_PARTS_MAX];
    const msfl_npy *npy[MSFL_NPZ_PARTS_MAX];
    size_t bytes; /* of a volume, at most, over the parts */
    msfl_zip_entry *entry;
    uint8_t *held; /* n_held_max volumes of `bytes` each */
} arrays_stream;

struct msfl_arrays {
    msfl_npz_index ix;
    msfl_dataset_options options;
    arrays_stream streams[ARRAYS_STREAMS_MAX];
    uint32_t n_streams;
    bool has_masks;
    uint32_t sides[3];
    char axes[4];
    double (*spacing)[3]; /* one for all, or for each volume */
    size_t n_spacing;
    const char *assumed;
    uint32_t part, next; /* the volume that is read next, of all parts, and its part */
    uint32_t *number;    /* of the volumes that are held, */
    uint32_t *part_of;   /* and their parts */
    size_t n_held_max;
};

/** 0 to 2: the axis of the world that a letter of "RLAPSI" names a side of; -1: it is none of them. */
int msfl_arrays_world_axis(char letter);

#endif
