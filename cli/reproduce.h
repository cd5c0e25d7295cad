/* The tables that `medsecurefl reproduce` makes of the results of its runs. */
#ifndef MSFL_CLI_REPRODUCE_H
#define MSFL_CLI_REPRODUCE_H

#include "medsecurefl/status.h"
#include "text/json.h"

/** Figures, by their names in tables.json: those of this program first, then the publication's, which are means over
 *  the classes; and the trainings. */
enum { REPRODUCE_FIGURES_OWN = 5, REPRODUCE_FIGURES = 8, REPRODUCE_ROWS = 3 };
extern const char *const cli_reproduce_figures[REPRODUCE_FIGURES];
extern const char *const cli_reproduce_titles[REPRODUCE_FIGURES];
extern const char *const cli_reproduce_rows[REPRODUCE_ROWS];

/** The number called `name`, or NaN. */
double cli_reproduce_number(const json_t *object, const char *name);

/**
 * What a finished run says, taken from its result.json: `{clients, seed, test_images, encrypted, plain, central,
 * sum_exact, figure_difference, weight_difference, weight_bound, within_bound, costs, warnings}`. The caller owns
 * `*run` (json_decref). ERR_FORMAT, naming `path`, if a row of the tables is missing in it or its sums were not
 * compared.
 */
msfl_status cli_reproduce_run(const char *path, const json_t *result, json_t **run) MSFL_NODISCARD;

/** From an array of such runs, the object of docs/man/reproduce.md without "config"; `clients` is an array of numbers.
 *  The caller owns it; NULL when out of memory. */
json_t *cli_reproduce_tables(const json_t *runs, const json_t *clients);

/** Bytes and milliseconds of one hospital and round of a run, from its result.json. */
json_t *cli_reproduce_costs_of(const json_t *result);
/** Their means over the seeds of each column. */
json_t *cli_reproduce_costs(const json_t *runs, const json_t *clients);
/** What is known of the prototype, with where it is from. */
json_t *cli_reproduce_prototype(void);

/** For people, on standard output. */
msfl_status cli_reproduce_print(const json_t *tables) MSFL_NODISCARD;

/** tables.csv, runs.csv, tables.md and tables.tex in the folder `out`, each replaced all or nothing. */
msfl_status cli_reproduce_papers(const char *out, const json_t *tables) MSFL_NODISCARD;

#endif
