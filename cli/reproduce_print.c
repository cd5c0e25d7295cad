/* What `medsecurefl reproduce` prints for people. */
#include "columns.h"
#include "reproduce.h"
#include "table.h"

#include <math.h>
#include <stdio.h>

static const char *const row_names[] = {"central", "plain federated (NOT encrypted)", "encrypted federated"};
enum { COLUMNS_MAX = 17 };

static double number(const json_t *object, const char *name) {
    return cli_reproduce_number(object, name);
}

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
    const json_t *clients = json_object_get(tables, "clients");
    const size_t n = json_array_size(clients);
    char names[COLUMNS_MAX][24];
    const char *headings[COLUMNS_MAX] = {cli_reproduce_titles[figure]};
    for (size_t i = 0; i < n && i + 1 < COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%d hospitals", (int)json_integer_value(json_array_get(clients, i)));
        headings[i + 1] = names[i];
    }
    cli_table *table;
    msfl_status status = cli_table_new(headings, n + 1, &table);
    if (status != MSFL_OK) return status;
    for (int r = 0; r < REPRODUCE_ROWS; r++) {
        const json_t *c, *of = json_object_get(json_object_get(tables, "tables"), cli_reproduce_figures[figure]);
        size_t i;
        cli_table_cell(table, "%s", row_names[r]);
        json_array_foreach(json_object_get(of, cli_reproduce_rows[r]), i, c) print_cell(table, c);
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

static void print_costs(const json_t *tables) {
    const json_t *c, *p = json_object_get(tables, "prototype");
    size_t i;
    puts("");
    json_array_foreach(json_object_get(tables, "costs"), i, c) {
        if (isnan(number(c, "bytes_up"))) continue;
        printf("%.0f hospitals: %.0f bytes sent per hospital and round, %.2f for each weight (the prototype: %.0f); "
               "encrypted in %.1f ms\n",
               number(c, "clients"), number(c, "bytes_up"), number(c, "bytes_up") / number(c, "values"),
               number(p, "bytes_per_weight"), number(c, "ms_encrypt"));
    }
}

msfl_status cli_reproduce_print(const json_t *tables) {
    puts("Mean over seeds +- standard deviation [smallest, largest] of so many seeds, on the test images.\n");
    for (int f = 0; f < REPRODUCE_FIGURES_OWN; f++) {
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
    print_costs(tables);
    const json_t *warning;
    size_t i;
    json_array_foreach(json_object_get(tables, "warnings"), i, warning) {
        printf("warning: ");
        cli_print_safely(stdout, json_string_value(warning));
        putchar('\n');
    }
    return MSFL_OK;
}
