/* medsecurefl data check: what could name a person, and whether a set is whole. */
#include "base/error.h"
#include "cmd.h"
#include "cmd_data.h"
#include "columns.h"
#include "medsecurefl/import.h"
#include "medsecurefl/simulate.h"
#include "table.h"
#include "terminal.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

static msfl_status print_attributes(const json_t *list) {
    static const char *const headings[] = {"attribute", "", "names", ">files"};
    cli_table *table;
    if (json_array_size(list) == 0) return MSFL_OK;
    msfl_status status = cli_table_new(headings, 4, &table);
    if (status != MSFL_OK) return status;
    const json_t *a;
    size_t i;
    json_array_foreach(list, i, a) {
        cli_table_cell(table, "%s", json_string_value(json_object_get(a, "tag")));
        cli_table_cell(table, "%s", json_string_value(json_object_get(a, "name")));
        cli_table_cell(table, "%s", json_string_value(json_object_get(a, "kind")));
        cli_table_cell(table, "%lld", (long long)json_integer_value(json_object_get(a, "files")));
    }
    cli_table_print(table, stdout);
    cli_table_free(table);
    putchar('\n');
    return MSFL_OK;
}

static void print_list(const char *name, const json_t *list) {
    const json_t *v;
    size_t i;
    json_array_foreach(list, i, v) printf("%-12s%s\n", i == 0 ? name : "", json_string_value(v));
}

static msfl_status print_check(const json_t *r) {
    const json_t *f;
    size_t i;
    msfl_status status = print_attributes(json_object_get(r, "attributes"));
    if (status != MSFL_OK) return status;
    json_array_foreach(json_object_get(r, "findings"), i, f) {
        const char *level = json_string_value(json_object_get(f, "level"));
        printf("%-8s ", level == NULL ? "" : level);
        cli_print_safely(stdout, json_string_value(json_object_get(f, "text")));
        putchar('\n');
    }
    if (json_object_get(r, "kept") != NULL) {
        putchar('\n');
        print_list("is kept", json_object_get(r, "kept"));
        print_list("is not kept", json_object_get(r, "not_kept"));
    }
    return MSFL_OK;
}

msfl_status cli_data_check(int argc, char **argv) {
    msfl_check_options o = {0};
    size_t n = 0;
    bool json = false, quiet = false;
    const cli_option options[] = {{"key", CLI_TEXT, &o.key, 0, 0},
                                  {"for-federation", CLI_FLAG, &o.for_federation, 0, 0},
                                  {"threads", CLI_U32, &o.n_threads, 0, 256},
                                  {"quiet", CLI_FLAG, &quiet, 0, 0},
                                  {"json", CLI_FLAG, &json, 0, 0},
                                  {0}};
    msfl_status status = cli_parse(argc, argv, options, &o.data, 1, &n);
    if (status != MSFL_OK) return status;
    if (n == 0) return msfl_fail(MSFL_ERR_USAGE, "name a folder of files or a set: data check DIR");
    cli_terminal *terminal = cli_terminal_new(NULL, 0, quiet);
    const msfl_observer observer = {.observe = cli_terminal_observe, .ctx = terminal, .cancel = cli_cancel_flag()};
    o.observer = &observer;
    char *text = NULL;
    uint32_t n_problems = 0;
    status = msfl_check(&o, &text, &n_problems);
    cli_terminal_free(terminal);
    if (status != MSFL_OK) return status;
    json_t *report = NULL;
    if (json) {
        puts(text);
    } else {
        status = msfl_json_parse("the report", text, strlen(text), SIZE_MAX, &report);
        if (status == MSFL_OK) status = print_check(report);
        json_decref(report);
    }
    msfl_text_free(text);
    if (status != MSFL_OK || n_problems == 0) return status;
    return msfl_fail(MSFL_ERR_DATA, "%u %s", n_problems, n_problems == 1 ? "problem" : "problems");
}
