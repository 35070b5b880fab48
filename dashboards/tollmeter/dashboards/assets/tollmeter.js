/* What the page does without asking the server. */
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.tollmeter = {
  // A click on a point filters by what its trace names, beside the values that are filtered already.
  drill: function (click, figure, search) {
    const none = window.dash_clientside.no_update;
    if (!click || !click.points.length) { return none; }
    const point = click.points[0];
    const meta = (figure.data[point.curveNumber] || {}).meta;
    if (!meta || !meta.drill) { return none; }
    const value = meta.values.length > 1 ? meta.values[point.pointNumber] : meta.values[0];
    if (value === null || value === undefined) { return none; }
    return window.dash_clientside.tollmeter.filtered(search, meta.drill, value);
  },
  // The address with one dimension filtered to one value.
  filtered: function (search, dimension, value) {
    const kept = (search || "").replace(/^\?/, "").split("&").filter(function (pair) {
      return pair && decodeURIComponent(pair.split("=")[0]) !== dimension;
    });
    kept.push(encodeURIComponent(dimension) + "=" + encodeURIComponent(value));
    return "?" + kept.join("&");
  },
  chosenChip: function (clicks) {
    const context = window.dash_clientside.callback_context;
    const chosen = context.triggered_id;
    if (!chosen || !clicks.some(Boolean)) { return window.dash_clientside.no_update; }
    return chosen.name;
  },
  toggled: function (clicks) {
    const open = clicks % 2 === 1;
    return ["tm-filters" + (open ? " tm-open" : ""), String(open)];
  },
  go: function (href) {
    window.history.pushState({}, "", href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  }
};
/* A table's cell that leads to an address: text stays text, whatever it holds. */
var dagcomponentfuncs = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
dagcomponentfuncs.TollmeterLink = function (props) {
  const href = props.data && props.data[props.href];
  if (!href) { return props.value; }
  return window.React.createElement("a", {
    href: href,
    className: "tm-link",
    onClick: function (event) {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) { return; }
      event.preventDefault();
      window.dash_clientside.tollmeter.go(href);
    }
  }, props.value);
};
