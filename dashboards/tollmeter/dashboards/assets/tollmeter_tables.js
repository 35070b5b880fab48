/* Tables that are searched, sorted and paged where the data is: what is asked stands in the address. */
(function () {
  const own = window.dash_clientside.tollmeter;
  // The renderer sets it after this file is read.
  function none() { return window.dash_clientside.no_update; }
  const OWN = {
    "calls-q": "q", "calls-min-cost": "min_cost", "calls-min-latency": "min_latency", "sessions-q": "q"
  };

  function parsed(search) { return new URLSearchParams((search || "").replace(/^\?/, "")); }
  function written(pairs) {
    const text = Array.from(pairs.entries()).map(function (pair) {
      return encodeURIComponent(pair[0]) + "=" + encodeURIComponent(pair[1]);
    }).join("&");
    return text ? "?" + text : "?";
  }
  function set(pairs, name, value) { if (value) { pairs.set(name, value); } else { pairs.delete(name); } }

  // The fields of a search say what the address does.
  own.shown = function (search) {
    const outputs = window.dash_clientside.callback_context.outputs_list;
    const pairs = parsed(search);
    const values = [].concat(outputs).map(function (output) { return pairs.get(OWN[output.id]) || ""; });
    return Array.isArray(outputs) ? values : values[0];
  };
  // A field that was touched goes into the address, and the table begins anew.
  own.typed = function () {
    const given = Array.prototype.slice.call(arguments);
    const pairs = parsed(given[given.length - 1]);
    const before = written(pairs);
    window.dash_clientside.callback_context.inputs_list.forEach(function (input, index) {
      set(pairs, OWN[input.id], (given[index] || "").trim());
    });
    if (written(pairs) === before) { return none(); }
    pairs.delete("page");
    return written(pairs);
  };
  own.drawer = function (search) { return parsed(search).has("call"); };
  own.closed = function (opened, search) {
    const pairs = parsed(search);
    if (opened || !pairs.has("call")) { return none(); }
    pairs.delete("call");
    pairs.delete("at");
    return written(pairs);
  };

  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  // A click on a header: the address says the order, the server sorts, the table keeps the order it is given.
  functions.tollmeterSorted = function (params) {
    if (params.source !== "uiColumnSorted") { return; }
    const sorted = params.api.getColumnState().find(function (column) { return column.sort; });
    const pairs = parsed(window.location.search);
    set(pairs, "sort", sorted && (sorted.sort === "desc" ? "-" : "") + sorted.colId);
    pairs.delete("page");
    own.go(written(pairs));
  };
  // A click on a row opens it, unless text was being selected or a link was meant.
  functions.tollmeterRow = function (params) {
    const href = params.data && params.data.href;
    const link = params.event && params.event.target && params.event.target.closest("a");
    if (!href || link || String(window.getSelection())) { return; }
    own.go(href);
  };
})();
