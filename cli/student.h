/* Student's distribution, as far as intervals of means need it. */
#ifndef MSFL_CLI_STUDENT_H
#define MSFL_CLI_STUDENT_H

/** What a mean's standard error is multiplied with for a 95 % interval: the 97.5th percentile of Student's distribution
 *  with that many degrees of freedom (tabulated to 30; beyond, the first four terms of its expansion at the normal
 *  distribution, Abramowitz and Stegun 26.7.5, within 1e-5). NaN below 1. */
double cli_student(int freedom);

#endif
