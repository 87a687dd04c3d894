extension YAMLMapping {
  /// Keys that a profile may override.
  private static let profileKeys = [
    "trace", "coordinates", "net", "parameters", "grid", "record", "limits",
  ]

  /// The file's mapping with a profile's overrides in it.
  ///
  /// Parameters and the lists of `grid.product` are replaced key by key, everything else as a whole; `seeds`
  /// replaces a `product` list of `seed` and the other way round.
  func overridden(by profile: Entry?) throws -> YAMLMapping {
    guard let profile else { return self }
    let overrides = try profile.value.mapping()
    try overrides.allow(YAMLMapping.profileKeys)
    var merged = self
    for entry in overrides.entries {
      guard let base = self[entry.key], ["parameters", "grid"].contains(entry.key) else {
        merged.replace(entry)
        continue
      }
      var inner = try base.mapping()
      for override in try entry.value.mapping().entries {
        try entry.key == "grid" ? inner.overrideGrid(override) : inner.replace(override)
      }
      merged.replace(entry.key, by: inner)
    }
    return merged
  }

  private mutating func overrideGrid(_ override: Entry) throws {
    switch (override.key, self["product"]) {
    case ("product", let product?):
      var lists = try product.mapping()
      for list in try override.value.mapping().entries {
        lists.replace(list)
        if list.key == "seed" { remove("seeds") }
      }
      replace("product", by: lists)
    case ("product", nil):
      if try override.value.mapping()["seed"] != nil { remove("seeds") }
      replace(override)
    case ("seeds", let product?):
      var lists = try product.mapping()
      lists.remove("seed")
      lists.entries.isEmpty ? remove("product") : replace("product", by: lists)
      replace(override)
    default: replace(override)
    }
  }
}
