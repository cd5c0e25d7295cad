/* The tables of `medsecurefl reproduce`: rows of trainings, columns of federations, cells over seeds. */
#include "base/error.h"
#include "reproduce.h"
#include "student.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const cli_reproduce_figures[] = {"accuracy", "precision",      "sensitivity", "f1",
                                             "auc",      "mean_precision", "mean_recall", "mean_f1"};
const char *const cli_reproduce_titles[] = {"accuracy",
                                            "precision",
                                            "sensitivity (recall)",
                                            "F1",
                                            "AUC",
                                            "precision, mean of classes",
                                            "recall, mean of classes",
                                            "F1, mean of classes"};
const char *const cli_reproduce_rows[] = {"central", "plain", "encrypted"};

#define figures cli_reproduce_figures
#define rows    cli_reproduce_rows
enum { N_FIGURES = REPRODUCE_FIGURES, N_ROWS = REPRODUCE_ROWS };

double cli_reproduce_number(const json_t *object, const char *name) {
    const json_t *v = json_object_get(object, name);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static double number(const json_t *object, const char *name) {
    return cli_reproduce_number(object, name);
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

/* As the publication's: the mean over all classes that occur, also when there are two. */
static void means_of_classes(const json_t *confusion, double *precision_mean, double *recall_mean, double *f1_mean) {
    const size_t n = json_array_size(confusion);
    double sums[3] = {0};
    size_t n_classes = 0;
    for (size_t c = 0; c < n; c++) {
        double predicted = 0, occurs = 0;
        for (size_t k = 0; k < n; k++) {
            predicted += count(confusion, k, c);
            occurs += count(confusion, c, k);
        }
        if (!(occurs > 0)) continue;
        sums[0] += count(confusion, c, c) / predicted; /* 0 / 0: NaN, as above */
        sums[1] += count(confusion, c, c) / occurs;
        sums[2] += 2 * count(confusion, c, c) / (predicted + occurs);
        n_classes++;
    }
    *precision_mean = n_classes == 0 ? NAN : sums[0] / (double)n_classes;
    *recall_mean = n_classes == 0 ? NAN : sums[1] / (double)n_classes;
    *f1_mean = n_classes == 0 ? NAN : sums[2] / (double)n_classes;
}

static json_t *figures_of(const json_t *from) {
    json_t *to = json_object(), *intervals = json_object();
    double values[N_FIGURES];
    for (int f = 0; f < REPRODUCE_FIGURES_OWN; f++)
        values[f] = number(from, figures[f]);
    values[1] = precision(json_object_get(from, "confusion"));
    means_of_classes(json_object_get(from, "confusion"), &values[5], &values[6], &values[7]);
    for (int f = 0; f < N_FIGURES; f++) {
        json_object_set_new(to, figures[f], msfl_json_real(values[f]));
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
    for (int f = 0; f < REPRODUCE_FIGURES_OWN; f++) {
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
    json_object_set_new(one, "costs", cli_reproduce_costs_of(result));
    json_object_set(one, "warnings", json_object_get(result, "warnings"));
    *run = one;
    return one == NULL ? msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables") : MSFL_OK;
}

static double within_unit(double v) {
    return v < 0 ? 0 : v > 1 ? 1 : v;
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
    const double deviation = n < 2 ? NAN : sqrt(squares / (n - 1));
    const double half = n < 2 ? NAN : cli_student(n - 1) * deviation / sqrt(n);
    json_object_set_new(out, "deviation", msfl_json_real(deviation));
    /* All figures lie between 0 and 1, which Student's interval does not know. */
    json_object_set_new(out, "low", msfl_json_real(isnan(half) ? NAN : within_unit(mean - half)));
    json_object_set_new(out, "high", msfl_json_real(isnan(half) ? NAN : within_unit(mean + half)));
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

/* An accuracy on so few test images says little, however many digits it has. */
static void warn_of_few(json_t *warnings, const json_t *runs) {
    enum { FEW = 50 };
    double fewest = FEW;
    const json_t *run;
    size_t i;
    char text[128];
    json_array_foreach(runs, i, run) {
        const double n = number(run, "test_images");
        if (n > 0 && n < fewest) fewest = n;
    }
    if (!(fewest < FEW)) return;
    snprintf(text, sizeof text, "Only %.0f test images: an accuracy moves in steps of %.3f, and intervals are wide.",
             fewest, 1 / fewest);
    json_array_append_new(warnings, json_string(text));
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
    json_object_set_new(out, "costs", cli_reproduce_costs(runs, clients));
    json_object_set_new(out, "prototype", cli_reproduce_prototype());
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
    warn_of_few(warnings, runs);
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
