/* The tables of `medsecurefl reproduce`: rows of trainings, columns of federations, cells over seeds. */
#include "base/error.h"
#include "columns.h"
#include "reproduce.h"
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const figures[] = {"accuracy", "precision", "sensitivity", "f1", "auc"};
static const char *const rows[] = {"central", "plain", "encrypted"};
static const char *const row_names[] = {"central", "plain federated (NOT encrypted)", "encrypted federated"};
enum { N_FIGURES = 5, N_ROWS = 3, COLUMNS_MAX = 17 };

static double number(const json_t *object, const char *name) {
    const json_t *v = json_object_get(object, name);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static double count(const json_t *confusion, size_t truth, size_t predicted) {
    return json_number_value(json_array_get(json_array_get(confusion, truth), predicted));
}

/* result.json has no precision, but the counts that it follows from. As its sensitivity: of class 1 when there are two
 * classes, else the mean over the classes that occur. Undefined, and so null, where one of them is never predicted. */
static double precision(const json_t *confusion) {
    const size_t n = json_array_size(confusion);
    double sum = 0;
    size_t n_classes = 0;
    for (size_t c = n == 2 ? 1 : 0; c < n; c++) {
        double predicted = 0, occurs = 0;
        for (size_t k = 0; k < n; k++) {
            predicted += count(confusion, k, c);
            occurs += count(confusion, c, k);
        }
        if (n != 2 && !(occurs > 0)) continue;
        sum += count(confusion, c, c) / predicted; /* 0 / 0: NaN */
        n_classes++;
    }
    return n_classes == 0 ? NAN : sum / (double)n_classes;
}

static json_t *figures_of(const json_t *from) {
    json_t *to = json_object(), *intervals = json_object();
    for (int f = 0; f < N_FIGURES; f++) {
        const bool derived = strcmp(figures[f], "precision") == 0;
        double v = derived ? precision(json_object_get(from, "confusion")) : number(from, figures[f]);
        json_object_set_new(to, figures[f], msfl_json_real(v));
        json_t *interval = json_object_get(json_object_get(from, "intervals"), figures[f]);
        if (json_is_array(interval)) json_object_set(intervals, figures[f], interval);
    }
    json_object_set_new(to, "intervals", intervals);
    return to;
}

static double larger(double a, double b) {
    return isnan(a) || b > a ? b : a;
}

msfl_status cli_reproduce_run(const char *path, const json_t *result, json_t **run) {
    *run = NULL;
    for (int r = 0; r < N_ROWS; r++) {
        if (!json_is_object(json_object_get(json_object_get(result, rows[r]), "intervals")) &&
            !json_is_number(json_object_get(json_object_get(result, rows[r]), "accuracy"))) {
            return msfl_fail(MSFL_ERR_FORMAT,
                             "%s lacks the figures of '%s': remove its folder to have the run repeated", path, rows[r]);
        }
    }
    const json_t *exact = json_object_get(result, "sum_exact");
    if (!json_is_boolean(exact)) {
        return msfl_fail(MSFL_ERR_FORMAT,
                         "%s does not say whether sums were exact: remove its folder to have the run "
                         "repeated",
                         path);
    }
    json_t *one = json_object();
    const json_t *config = json_object_get(result, "config");
    json_object_set(one, "clients", json_object_get(config, "clients"));
    json_object_set(one, "seed", json_object_get(config, "seed"));
    json_object_set(one, "test_images", json_object_get(json_object_get(result, "encrypted"), "n"));
    for (int r = 0; r < N_ROWS; r++)
        json_object_set_new(one, rows[r], figures_of(json_object_get(result, rows[r])));
    json_object_set_new(one, "sum_exact", json_boolean(json_is_true(exact)));
    double difference = NAN, weight = NAN, bound = NAN;
    for (int f = 0; f < N_FIGURES; f++) {
        double d = fabs(number(json_object_get(one, "encrypted"), figures[f]) -
                        number(json_object_get(one, "plain"), figures[f]));
        if (!isnan(d)) difference = larger(difference, d);
    }
    bool within = true;
    const json_t *round;
    size_t i;
    json_array_foreach(json_object_get(result, "rounds"), i, round) {
        double error = number(round, "max_error"), stated = number(round, "error_bound");
        within = within && error <= stated;
        weight = larger(weight, error);
        bound = larger(bound, stated);
    }
    json_object_set_new(one, "figure_difference", msfl_json_real(difference));
    json_object_set_new(one, "weight_difference", msfl_json_real(weight));
    json_object_set_new(one, "weight_bound", msfl_json_real(bound));
    json_object_set_new(one, "within_bound", json_boolean(within));
    json_object_set(one, "warnings", json_object_get(result, "warnings"));
    *run = one;
    return one == NULL ? msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables") : MSFL_OK;
}

/* Over the seeds that there are so far and whose figure is defined. Two passes: the values lie close together. */
static json_t *cell(const json_t *runs, json_int_t clients, const char *row, const char *figure) {
    double sum = 0, squares = 0, low = NAN, high = NAN;
    int n = 0, n_runs = 0;
    const json_t *run;
    size_t i;
    json_array_foreach(runs, i, run) {
        if (json_integer_value(json_object_get(run, "clients")) != clients) continue;
        double v = number(json_object_get(run, row), figure);
        n_runs++;
        if (isnan(v)) continue;
        sum += v;
        low = isnan(low) || v < low ? v : low;
        high = larger(high, v);
        n++;
    }
    const double mean = n == 0 ? NAN : sum / n;
    json_array_foreach(runs, i, run) {
        if (json_integer_value(json_object_get(run, "clients")) != clients) continue;
        double v = number(json_object_get(run, row), figure);
        if (!isnan(v)) squares += (v - mean) * (v - mean);
    }
    json_t *out = json_object();
    json_object_set_new(out, "clients", json_integer(clients));
    json_object_set_new(out, "mean", msfl_json_real(mean));
    json_object_set_new(out, "deviation", msfl_json_real(n < 2 ? NAN : sqrt(squares / (n - 1))));
    json_object_set_new(out, "smallest", msfl_json_real(low));
    json_object_set_new(out, "largest", msfl_json_real(high));
    json_object_set_new(out, "seeds", json_integer(n));
    json_object_set_new(out, "undefined", json_integer(n_runs - n));
    return out;
}

static void add_warnings(json_t *all, const json_t *more) {
    const json_t *one, *known;
    size_t i, k;
    json_array_foreach(more, i, one) {
        bool is_new = true;
        json_array_foreach(all, k, known) is_new = is_new && !json_equal(one, known);
        if (is_new) json_array_append(all, (json_t *)one);
    }
}

json_t *cli_reproduce_tables(const json_t *runs, const json_t *clients) {
    json_t *out = json_object(), *tables = json_object(), *difference = json_object(), *warnings = json_array();
    for (int f = 0; f < N_FIGURES; f++) {
        json_t *table = json_object();
        for (int r = 0; r < N_ROWS; r++) {
            json_t *cells = json_array();
            const json_t *n;
            size_t i;
            json_array_foreach(clients, i, n)
                json_array_append_new(cells, cell(runs, json_integer_value(n), rows[r], figures[f]));
            json_object_set_new(table, rows[r], cells);
        }
        json_object_set_new(tables, figures[f], table);
    }
    double figure = NAN, weight = NAN, bound = NAN;
    bool exact = true, within = true;
    const json_t *run;
    size_t i;
    json_array_foreach(runs, i, run) {
        figure = larger(figure, number(run, "figure_difference"));
        weight = larger(weight, number(run, "weight_difference"));
        bound = larger(bound, number(run, "weight_bound"));
        exact = exact && json_is_true(json_object_get(run, "sum_exact"));
        within = within && json_is_true(json_object_get(run, "within_bound"));
        add_warnings(warnings, json_object_get(run, "warnings"));
    }
    json_object_set_new(difference, "figure", msfl_json_real(figure));
    json_object_set_new(difference, "weight_of_one_round", msfl_json_real(weight));
    json_object_set_new(difference, "weight_bound", msfl_json_real(bound));
    json_object_set_new(difference, "within_bound", json_boolean(within));
    json_object_set(out, "clients", (json_t *)clients);
    json_object_set_new(out, "tables", tables);
    json_object_set_new(out, "largest_difference", difference);
    json_object_set_new(out, "sums_exact", json_boolean(exact));
    json_object_set_new(out, "warnings", warnings);
    json_object_set(out, "runs", (json_t *)runs);
    return out;
}

/* --- for people --- */

static void print_cell(cli_table *table, const json_t *c) {
    char spread[32] = "";
    const double deviation = number(c, "deviation");
    if (isnan(number(c, "mean"))) {
        cli_table_cell(table, "-");
        return;
    }
    if (!isnan(deviation)) snprintf(spread, sizeof spread, " +- %.4f", deviation);
    cli_table_cell(table, "%.4f%s [%.4f, %.4f] of %d", number(c, "mean"), spread, number(c, "smallest"),
                   number(c, "largest"), (int)json_integer_value(json_object_get(c, "seeds")));
}

static msfl_status print_figure(const json_t *tables, int figure) {
    static const char *const titles[] = {"accuracy", "precision", "sensitivity (recall)", "F1", "AUC"};
    const json_t *clients = json_object_get(tables, "clients");
    const size_t n = json_array_size(clients);
    char names[COLUMNS_MAX][24];
    const char *headings[COLUMNS_MAX] = {titles[figure]};
    for (size_t i = 0; i < n && i + 1 < COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%d hospitals", (int)json_integer_value(json_array_get(clients, i)));
        headings[i + 1] = names[i];
    }
    cli_table *table;
    msfl_status status = cli_table_new(headings, n + 1, &table);
    if (status != MSFL_OK) return status;
    for (int r = 0; r < N_ROWS; r++) {
        const json_t *c, *of = json_object_get(json_object_get(tables, "tables"), figures[figure]);
        size_t i;
        cli_table_cell(table, "%s", row_names[r]);
        json_array_foreach(json_object_get(of, rows[r]), i, c) print_cell(table, c);
    }
    cli_table_print(table, stdout);
    cli_table_free(table);
    puts("");
    return MSFL_OK;
}

static void print_interval(cli_table *table, const json_t *m, const char *figure) {
    const json_t *interval = json_object_get(json_object_get(m, "intervals"), figure);
    const json_t *low = json_array_get(interval, 0), *high = json_array_get(interval, 1);
    if (isnan(number(m, figure))) {
        cli_table_cell(table, "-");
    } else if (json_is_number(low) && json_is_number(high)) {
        cli_table_cell(table, "%.4f [%.4f, %.4f]", number(m, figure), json_number_value(low), json_number_value(high));
    } else {
        cli_table_cell(table, "%.4f", number(m, figure));
    }
}

static msfl_status print_runs(const json_t *tables) {
    static const char *const headings[] = {">hospitals",  ">seed", ">test images", "accuracy",
                                           "sensitivity", "F1",    "AUC"};
    static const char *const shown[] = {"accuracy", "sensitivity", "f1", "auc"};
    cli_table *table;
    msfl_status status = cli_table_new(headings, 7, &table);
    if (status != MSFL_OK) return status;
    const json_t *run;
    size_t i;
    json_array_foreach(json_object_get(tables, "runs"), i, run) {
        cli_table_cell(table, "%d", (int)json_integer_value(json_object_get(run, "clients")));
        cli_table_cell(table, "%.0f", number(run, "seed"));
        cli_table_cell(table, "%.0f", number(run, "test_images"));
        for (int f = 0; f < 4; f++)
            print_interval(table, json_object_get(run, "encrypted"), shown[f]);
    }
    puts("Encrypted federated, run by run, with 95 % bootstrap intervals over test patients:");
    cli_table_print(table, stdout);
    cli_table_free(table);
    return MSFL_OK;
}

msfl_status cli_reproduce_print(const json_t *tables) {
    puts("Mean over seeds +- standard deviation [smallest, largest] of so many seeds, on the test images.\n");
    for (int f = 0; f < N_FIGURES; f++) {
        msfl_status status = print_figure(tables, f);
        if (status != MSFL_OK) return status;
    }
    msfl_status status = print_runs(tables);
    if (status != MSFL_OK) return status;
    const json_t *d = json_object_get(tables, "largest_difference");
    printf("\nencrypted sums equal the plaintext sums of the quantised updates bit for bit: %s\n",
           json_is_true(json_object_get(tables, "sums_exact")) ? "yes, in every round of every run" : "NO");
    printf("encrypted against plain, largest difference of a figure above: %.4g\n", number(d, "figure"));
    printf("quantisation, largest difference of a weight in one round: %.3g (bound stated beforehand %.3g: %s)\n",
           number(d, "weight_of_one_round"), number(d, "weight_bound"),
           json_is_true(json_object_get(d, "within_bound")) ? "held in every round" : "NOT HELD");
    const json_t *warning;
    size_t i;
    json_array_foreach(json_object_get(tables, "warnings"), i, warning) {
        printf("warning: ");
        cli_print_safely(stdout, json_string_value(warning));
        putchar('\n');
    }
    return MSFL_OK;
}
