/* The tables that `medsecurefl reproduce` makes of the results of its runs. */
#ifndef MSFL_CLI_REPRODUCE_H
#define MSFL_CLI_REPRODUCE_H

#include "medsecurefl/status.h"
#include "text/json.h"

/**
 * What a finished run says, taken from its result.json: `{clients, seed, test_images, encrypted, plain, central,
 * sum_exact, figure_difference, weight_difference, weight_bound, within_bound, warnings}`. The caller owns `*run`
 * (json_decref). ERR_FORMAT, naming `path`, if a row of the tables is missing in it or its sums were not compared.
 */
msfl_status cli_reproduce_run(const char *path, const json_t *result, json_t **run) MSFL_NODISCARD;

/** From an array of such runs, the object of docs/man/reproduce.md without "config"; `clients` is an array of numbers.
 *  The caller owns it; NULL when out of memory. */
json_t *cli_reproduce_tables(const json_t *runs, const json_t *clients);

/** For people, on standard output. */
msfl_status cli_reproduce_print(const json_t *tables) MSFL_NODISCARD;

#endif
