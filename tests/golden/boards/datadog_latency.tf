# Dashboards of Tollmeter, rendered from its metric registry; change that, not this file.

terraform {
  required_providers {
    datadog = {
      source  = "DataDog/datadog"
      version = ">= 3.40"
    }
  }
}

resource "datadog_dashboard_json" "latency" {
  dashboard = jsonencode({
    title       = "Tollmeter: latency chat production"
    description = "How long model calls and requests take. Percentiles are of every call, not of averages."
    layout_type = "ordered"
    reflow_type = "fixed"
    template_variables = [
      {
        name     = "service"
        prefix   = "service"
        defaults = ["chat"]
      },
      {
        name     = "environment"
        prefix   = "env"
        defaults = ["production"]
      },
      {
        name     = "model"
        prefix   = "request_model"
        defaults = ["*"]
      },
    ]
    widgets = [
      {
        definition = {
          content          = "How long model calls and requests take. Percentiles are of every call, not of averages. [What each number means](https://github.com/tollmeter/tollmeter/blob/main/docs/platform-dashboards.md)"
          has_padding      = true
          type             = "note"
          background_color = "white"
          font_size        = "14"
          text_align       = "left"
        }
        layout = {
          x      = 0
          y      = 0
          width  = 12
          height = 1
        }
      },
      {
        definition = {
          type        = "group"
          title       = "Model calls"
          layout_type = "ordered"
          widgets = [
            {
              definition = {
                type             = "note"
                background_color = "white"
                font_size        = "14"
                text_align       = "left"
                content          = "To the end of the answer, and to the first token of a stream; 95 of 100 calls were faster than p95."
                has_padding      = true
              }
              layout = {
                x      = 0
                y      = 0
                width  = 12
                height = 1
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "p95 to the end of the answer, by model"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Milliseconds"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "p95:tollmeter.llm.latency_ms{$service,$environment,$model} by {request_model}"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "time to the end of the answer"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                    ]
                    display_type = "line"
                  },
                ]
              }
              layout = {
                x      = 0
                y      = 1
                width  = 6
                height = 6
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "p95 to the first token, by model"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Milliseconds"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "p95:tollmeter.llm.ttft_ms{$service,$environment,$model} by {request_model}"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "time to the first token"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                    ]
                    display_type = "line"
                  },
                ]
              }
              layout = {
                x      = 6
                y      = 1
                width  = 6
                height = 6
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "p99 to the end of the answer, by model"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Milliseconds"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "p99:tollmeter.llm.latency_ms{$service,$environment,$model} by {request_model}"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "time to the end of the answer"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                    ]
                    display_type = "line"
                  },
                ]
              }
              layout = {
                x      = 0
                y      = 7
                width  = 6
                height = 6
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "Calls by model"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Count"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "sum:tollmeter.llm.calls{$service,$environment,$model} by {request_model}.as_count()"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "model calls, each attempt one"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                      },
                    ]
                    display_type = "area"
                  },
                ]
              }
              layout = {
                x      = 6
                y      = 7
                width  = 6
                height = 6
              }
            },
          ]
        }
        layout = {
          x      = 0
          y      = 1
          width  = 12
          height = 14
        }
      },
      {
        definition = {
          type        = "group"
          title       = "The chosen model"
          layout_type = "ordered"
          widgets = [
            {
              definition = {
                type             = "note"
                background_color = "white"
                font_size        = "14"
                text_align       = "left"
                content          = "Median, p95 and p99 of the model chosen at the top."
                has_padding      = true
              }
              layout = {
                x      = 0
                y      = 0
                width  = 12
                height = 1
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "To the end of the answer"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Milliseconds"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "p50:tollmeter.llm.latency_ms{$service,$environment,$model}"
                      },
                      {
                        name        = "q1"
                        data_source = "metrics"
                        query       = "p95:tollmeter.llm.latency_ms{$service,$environment,$model}"
                      },
                      {
                        name        = "q2"
                        data_source = "metrics"
                        query       = "p99:tollmeter.llm.latency_ms{$service,$environment,$model}"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "p50"
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                      {
                        formula = "q1"
                        alias   = "p95"
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                      {
                        formula = "q2"
                        alias   = "p99"
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                    ]
                    display_type = "line"
                  },
                ]
              }
              layout = {
                x      = 0
                y      = 1
                width  = 6
                height = 6
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "To the first token"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Milliseconds"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "p50:tollmeter.llm.ttft_ms{$service,$environment,$model}"
                      },
                      {
                        name        = "q1"
                        data_source = "metrics"
                        query       = "p95:tollmeter.llm.ttft_ms{$service,$environment,$model}"
                      },
                      {
                        name        = "q2"
                        data_source = "metrics"
                        query       = "p99:tollmeter.llm.ttft_ms{$service,$environment,$model}"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "p50"
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                      {
                        formula = "q1"
                        alias   = "p95"
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                      {
                        formula = "q2"
                        alias   = "p99"
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                    ]
                    display_type = "line"
                  },
                ]
              }
              layout = {
                x      = 6
                y      = 1
                width  = 6
                height = 6
              }
            },
          ]
        }
        layout = {
          x      = 0
          y      = 15
          width  = 12
          height = 8
        }
      },
      {
        definition = {
          type        = "group"
          title       = "Requests"
          layout_type = "ordered"
          widgets = [
            {
              definition = {
                type             = "note"
                background_color = "white"
                font_size        = "14"
                text_align       = "left"
                content          = "To the last byte that a client of the service got, model calls included."
                has_padding      = true
              }
              layout = {
                x      = 0
                y      = 0
                width  = 12
                height = 1
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "Median by route"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Milliseconds"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "p50:tollmeter.http.duration_ms{$service,$environment} by {route}"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "time to the last byte"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                    ]
                    display_type = "line"
                  },
                ]
              }
              layout = {
                x      = 0
                y      = 1
                width  = 6
                height = 6
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "p95 by route"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Milliseconds"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "p95:tollmeter.http.duration_ms{$service,$environment} by {route}"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "time to the last byte"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                    ]
                    display_type = "line"
                  },
                ]
              }
              layout = {
                x      = 6
                y      = 1
                width  = 6
                height = 6
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "p99 by route"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Milliseconds"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "p99:tollmeter.http.duration_ms{$service,$environment} by {route}"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "time to the last byte"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                    ]
                    display_type = "line"
                  },
                ]
              }
              layout = {
                x      = 0
                y      = 7
                width  = 6
                height = 6
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "Requests by route"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Count"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "sum:tollmeter.http.requests{$service,$environment} by {route}.as_count()"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "requests served"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                      },
                    ]
                    display_type = "area"
                  },
                ]
              }
              layout = {
                x      = 6
                y      = 7
                width  = 6
                height = 6
              }
            },
          ]
        }
        layout = {
          x      = 0
          y      = 23
          width  = 12
          height = 14
        }
      },
      {
        definition = {
          type        = "group"
          title       = "Slowest calls"
          layout_type = "ordered"
          widgets = [
            {
              definition = {
                type             = "note"
                background_color = "white"
                font_size        = "14"
                text_align       = "left"
                content          = "Asked of the log lines of model calls and requests, for no metric carries these fields."
                has_padding      = true
              }
              layout = {
                x      = 0
                y      = 0
                width  = 12
                height = 1
              }
            },
            {
              definition = {
                type  = "query_table"
                title = "Slowest calls"
                requests = [
                  {
                    response_format = "scalar"
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "Slowest calls"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                      },
                    ]
                    queries = [
                      {
                        name        = "q0"
                        data_source = "logs"
                        search = {
                          query = "\"Model call completed\" $service $environment"
                        }
                        indexes = ["*"]
                        compute = {
                          aggregation = "max"
                          metric      = "@latency_ms"
                        }
                        group_by = [
                          {
                            facet = "@request_id"
                            limit = 20
                            sort = {
                              aggregation = "max"
                              metric      = "@latency_ms"
                              order       = "desc"
                            }
                          },
                        ]
                      },
                    ]
                  },
                ]
              }
              layout = {
                x      = 0
                y      = 1
                width  = 12
                height = 8
              }
            },
          ]
        }
        layout = {
          x      = 0
          y      = 37
          width  = 12
          height = 10
        }
      },
      {
        definition = {
          type        = "group"
          title       = "Further names"
          layout_type = "ordered"
          widgets = [
            {
              definition = {
                type             = "note"
                background_color = "white"
                font_size        = "14"
                text_align       = "left"
                content          = "The same numbers under the names that the setting `metric_preset` adds, with the dimensions they have there."
                has_padding      = true
              }
              layout = {
                x      = 0
                y      = 0
                width  = 12
                height = 1
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "ai_platform.requests"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Count"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "sum:ai_platform.requests{*} by {model,status}.as_count()"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "model calls, each attempt one"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                      },
                    ]
                    display_type = "line"
                  },
                ]
              }
              layout = {
                x      = 0
                y      = 1
                width  = 6
                height = 6
              }
            },
            {
              definition = {
                type          = "timeseries"
                title         = "ai_platform.latency"
                show_legend   = true
                legend_layout = "auto"
                yaxis = {
                  min          = "0"
                  include_zero = true
                  label        = "Milliseconds"
                }
                events = [
                  {
                    q = "tags:deployment $service $environment"
                  },
                ]
                requests = [
                  {
                    response_format = "timeseries"
                    queries = [
                      {
                        name        = "q0"
                        data_source = "metrics"
                        query       = "p99:ai_platform.latency{*} by {endpoint}"
                      },
                    ]
                    formulas = [
                      {
                        formula = "q0"
                        alias   = "time to the last byte"
                        limit = {
                          count = 20
                          order = "desc"
                        }
                        number_format = {
                          unit = {
                            type      = "canonical_unit"
                            unit_name = "millisecond"
                          }
                        }
                      },
                    ]
                    display_type = "line"
                  },
                ]
              }
              layout = {
                x      = 6
                y      = 1
                width  = 6
                height = 6
              }
            },
          ]
        }
        layout = {
          x      = 0
          y      = 47
          width  = 12
          height = 8
        }
      },
    ]
  })
}
