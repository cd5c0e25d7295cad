/* site.yaml: what this hospital trains on and with. Its operator writes it; docs/formats/site.md. */
#ifndef MSFL_CLIENT_SITE_H
#define MSFL_CLIENT_SITE_H

#include "medsecurefl/dataset.h"

enum {
    CLIENT_WORDS_MAX = 32,   /* of a trainer's command, and of its environment */
    CLIENT_SHARES_MAX = 256, /* hospitals among which an experiment deals one data set */
    CLIENT_TRAINER_S_MAX = 7 * 24 * 3600,
    CLIENT_MEMORY_MB_MAX = 1 << 20
};

#define CLIENT_FILE_SITE "site.yaml"

/** Experiments: this process holds one part of a data set that others hold the rest of. */
typedef struct client_share {
    uint32_t of, index; /**< of 0: all of it is ours */
    char *partition;    /**< as msfl_dataset_partition */
    uint64_t seed;      /**< of the split, the dealing, and a phantom's images */
} client_share;

typedef enum client_format { CLIENT_NPZ = 0, CLIENT_H5 = 1 } client_format;

/** A command that trains in our place. */
typedef struct client_trainer {
    char *command[CLIENT_WORDS_MAX + 1];     /**< n_command words, then NULL; none: the built-in trainer */
    char *environment[CLIENT_WORDS_MAX + 1]; /**< "NAME=value", then NULL */
    uint32_t n_command, n_environment;
    client_format format; /**< of the weights that it reads and writes */
    uint32_t timeout_s;
    uint32_t memory_mb;               /**< address space; 0: no bound */
    uint32_t output_mb;               /**< of any one file that it writes */
    bool network;                     /**< whether it may use the network */
    char *read[CLIENT_WORDS_MAX + 1]; /**< n_read paths that it may read besides, then NULL */
    uint32_t n_read;
} client_trainer;

typedef struct client_site {
    char *path, *label;         /**< of the data; NULL: none named */
    char *key;                  /**< file with the hospital's key, for an imported set that is sealed; NULL: none */
    msfl_laterality laterality; /**< of data that no recipe speaks for; UNSAID: nobody knows */
    bool refuse_bad;
    uint32_t phantom_images; /**< 0: the default */
    client_share share;
    client_trainer trainer;
    uint32_t n_threads; /**< 0: all cores */
} client_site;

/** Clear `out` in any case. ERR_FORMAT names line and field. */
msfl_status client_site_parse(const char *name, const char *text, size_t length, client_site *out) MSFL_NODISCARD;
/** FOLDER/site.yaml. A hospital without one has no data: ERR_MISSING says what to write. */
msfl_status client_site_read(const char *folder, client_site *out) MSFL_NODISCARD;
void client_site_clear(client_site *site);

#endif
