# Logistic regression with Firth's penalty, and penalised likelihood ratios: Rscript firth.R runs.csv
# Prints a line a parameter: name, estimate, standard error and p (of the penalised likelihood, maximised by optim).
library(brglm2)

runs <- read.csv(commandArgs(TRUE)[1])
fit <- glm(failed ~ ., binomial, runs, method = "brglmFit", type = "AS_mean", epsilon = 1e-12, maxit = 1000)
x <- model.matrix(fit)

penalised <- function(beta) {
  eta <- drop(x %*% beta)
  p <- plogis(eta)
  information <- crossprod(x * sqrt(p * (1 - p)))
  sum(runs$failed * eta - log1p(exp(eta))) + as.numeric(determinant(information)$modulus) / 2
}

without <- function(number) {
  away <- function(free) -penalised(append(free, 0, number - 1))
  -optim(rep(0, ncol(x) - 1), away, method = "BFGS", control = list(reltol = 1e-15, maxit = 5000))$value
}

errors <- sqrt(diag(vcov(fit)))
for (number in seq_len(ncol(x))) {
  p <- pchisq(2 * (penalised(coef(fit)) - without(number)), 1, lower.tail = FALSE)
  cat(colnames(x)[number], format(c(coef(fit)[number], errors[number], p), digits = 15), "\n")
}
