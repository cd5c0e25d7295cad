/* The halves of `medsecurefl data`, and how both draw. */
#ifndef MSFL_CLI_CMD_DATA_H
#define MSFL_CLI_CMD_DATA_H

#include "medsecurefl/dataset.h"

typedef struct cli_data_partition_options {
    const char *partition;
    uint32_t n_clients, min_images;
    double test_fraction, validation_fraction;
    uint64_t seed;
} cli_data_partition_options;

msfl_status cli_data_inspect(const msfl_dataset *set, bool json) MSFL_NODISCARD;
msfl_status cli_data_partition(const msfl_dataset *set, const cli_data_partition_options *options,
                               bool json) MSFL_NODISCARD;

typedef struct cli_data_preview_options {
    const char *augment, *out;
    uint32_t n_images, n_versions;
    uint64_t seed;
} cli_data_preview_options;
/** A contact sheet of images and what augmentation makes of them. */
msfl_status cli_data_preview(const msfl_dataset *set, const cli_data_preview_options *options) MSFL_NODISCARD;

/** Single files, whatever they are. Fails, after all have been shown, with the status of the first that cannot be read.
 */
msfl_status cli_data_files(const char *const *files, size_t n, uint32_t n_threads, bool json) MSFL_NODISCARD;

/** The volumes that single DICOM files (or those in folders) make up. ERR_DATA, after all has been shown, when a file
 * is in none. */
msfl_status cli_data_series(const char *const *words, size_t n, uint32_t n_threads, bool json) MSFL_NODISCARD;

/* Subcommands with options of their own; `argv` begins behind their name. */
msfl_status cli_data_import(int argc, char **argv) MSFL_NODISCARD;
msfl_status cli_data_recipe(int argc, char **argv) MSFL_NODISCARD;
/** ERR_DATA, after all has been shown, when there is a problem. */
msfl_status cli_data_check(int argc, char **argv) MSFL_NODISCARD;
msfl_status cli_data_card(int argc, char **argv) MSFL_NODISCARD;
msfl_status cli_data_key(int argc, char **argv) MSFL_NODISCARD;

enum { CLI_BAR_WIDTH_MAX = 24, CLI_BAR_BYTES = 3 * CLI_BAR_WIDTH_MAX + 1 };
/** A bar of up to `width` places for a share from 0 to 1, in eighths of a place. Returns `text`. */
char *cli_bar(double share, uint32_t width, char text[CLI_BAR_BYTES]);
/** One character as high as the share. */
const char *cli_block(double share);

#endif
